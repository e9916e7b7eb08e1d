"""What is current, and what a context holds: without the checks of OpenTelemetry's functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import baggage, trace
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import Span, SpanContext, TraceFlags
from opentelemetry.trace.span import TraceState


# What `get_current` and `attach` call: one call less, each of them several times for a message.
_runtime: Any = getattr(otel, "_RUNTIME_CONTEXT", None) or otel
current_context: Callable[[], Context] = _runtime.get_current
attach: Callable[[Context], object] = _runtime.attach


def _keys_while_suppressed() -> frozenset[str]:
    before = current_context()
    with suppress_instrumentation():
        return frozenset(current_context().keys() - before.keys())


# The keys are OpenTelemetry's secret; a context that it made knows them.
(_SPAN,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())
(_BAGGAGE,) = baggage.set_baggage("", "", Context())
NO_STATE = TraceState()
_new_tuple = tuple.__new__  # of `SpanContext`, whose order other modules rely on too
_SUPPRESSED = _keys_while_suppressed()
_NO_MORE: dict[str, object] = {}


def span_in(context: Context) -> Span:
    """The span that is current in a context, for 0.1 µs where `get_current_span` takes 0.6."""
    span: Any = context.get(_SPAN)
    return span if span is not None else trace.INVALID_SPAN


def has_baggage(context: Context) -> bool:
    """Whether a context has baggage, for 0.1 µs where `get_all` takes 0.4."""
    return bool(context.get(_BAGGAGE))


def is_suppressed(context: Context) -> bool:
    """Whether a context suppresses instrumentation, for 0.1 µs where the other question is 0.3."""
    return not _SUPPRESSED.isdisjoint(context) and any(map(context.get, _SUPPRESSED))


def with_span(context: Context, span: Span, more: dict[str, object] = _NO_MORE) -> Context:
    """A context in which a span is current, and *more*: one copy where `set_value` makes four."""
    return Context({**context, _SPAN: span, **more})


def valid_context(
    trace_id: int,
    span_id: int,
    is_remote: bool,  # noqa: FBT001 - as `SpanContext` has it
    flags: TraceFlags,
    state: TraceState,
) -> SpanContext:
    """A span context of ids that are valid, for 0.1 µs where `SpanContext` takes 0.2 to check."""
    return _new_tuple(SpanContext, (trace_id, span_id, is_remote, flags, state, True))
