"""What is current where an operation starts."""

from __future__ import annotations

import msgspec

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, SpanKind

from otelope.core.contexts import current_context, span_in
from otelope.core.operation import MAX_LINKS, live
from otelope.core.placement import Spot
from otelope.model import semconv


class Surroundings(msgspec.Struct, frozen=True):
    """The current context and span."""

    context: Context
    span: Span
    span_context: SpanContext
    spot: Spot | None
    foreign_kind: SpanKind | None  # of a span that another instrumentation, or the host, made
    ours: bool


def surroundings() -> Surroundings:
    """What is current in this thread or task."""
    return surroundings_in(current_context())


def surroundings_in(context: Context) -> Surroundings:
    """The same, where this is current in this thread or task."""
    context = live(context)
    span = span_in(context)
    if span is trace.INVALID_SPAN:
        return Surroundings(context, span, trace.INVALID_SPAN_CONTEXT, None, None, False)  # noqa: FBT003 - not ours
    span_context = span.get_span_context()
    scope = getattr(span, "instrumentation_scope", None)
    ours = scope is not None and scope.name == semconv.SCOPE
    kind = getattr(span, "kind", None) if scope is not None and not ours else None
    return Surroundings(context, span, span_context, spot_of(span_context), kind, ours)


def spot_of(context: SpanContext | None) -> Spot | None:
    """The spot of a span context; None for an invalid one."""
    if context is None:
        return None
    # A span context is a tuple: taken apart, it costs one call less for each field.
    trace_id, span_id, _, _, _, valid = context
    return Spot(trace_id, span_id) if valid else None


def link_back(span: Span, other: SpanContext) -> None:
    """Link a span that has started to another, where it records and has room."""
    # A span at its limit would drop its oldest link for this one.
    if other.is_valid and span.is_recording() and len(getattr(span, "links", ())) < MAX_LINKS:
        span.add_link(other)
