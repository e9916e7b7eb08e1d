"""Trace context and baggage in a message's headers, by the user's propagators."""

from __future__ import annotations

import re

from typing import Any

import msgspec

from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, TextMapPropagator
from opentelemetry.trace import SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otelope.core.carriers import Carrier
from otelope.core.contexts import NO_STATE, has_baggage, span_in, valid_context
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.model import semconv


_TRACEPARENT = "traceparent"
_TRACESTATE = "tracestate"
_MARK = f"{semconv.TRACESTATE_KEY}="
_STOCK = [TraceContextTextMapPropagator, W3CBaggagePropagator]
# A flag is a number that knows its name: 0.1 µs to look one up, 0.3 to make one.
_FLAGS = tuple(map(TraceFlags, range(256)))
_VERSION_0 = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch


def injected(context: Context, envelope_span_id: int) -> dict[str, str]:
    """
    The headers that carry a context, with our mark that the envelope is recorded.

    The mark is the ``tracestate`` member ``otelope=<span id of the envelope's id>``: it says
    nothing of another envelope, to which a state may be passed on. Without ``traceparent`` among
    the user's propagators there is none.
    """
    if _stock(propagate.get_global_textmap()) and not has_baggage(context):
        # Just what the stock propagators write, for 0.9 µs instead of 2.6.
        # A span context is a tuple: taken apart, it costs one call less for each of its fields.
        trace_id, span_id, _, flags, members, valid = span_in(context).get_span_context()
        if not valid:
            return {}
        fields = {_TRACEPARENT: f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"}
        state = members.to_header() if members else ""
    else:
        fields = {}
        propagate.inject(fields, context)
        state = fields.get(_TRACESTATE, "")
    if _TRACEPARENT in fields:
        rest = _unmarked(state) if state else ""
        mark = f"{_MARK}{envelope_span_id:016x}"
        fields[_TRACESTATE] = f"{mark},{rest}" if rest else mark
    return fields


class Carried(msgspec.Struct, frozen=True):
    """
    What a message's headers carry.

    Args:
        context: That in which they were read, with the message's baggage.
        span_context: Of the propagated span; None where the headers hold none.
        state: The ``tracestate`` as it came, if any.
    """

    context: Context
    span_context: SpanContext | None
    state: str | None

    def tells_of(self, envelope_span_id: int) -> bool:
        """Whether the sender says that it recorded the envelope of this span id."""
        return self.state is not None and f"{_MARK}{envelope_span_id:016x}" in self.state


def carried(message: Message, carrier: Carrier, context: Context) -> Carried:
    """Read what a message's headers carry, where this context is current."""
    headers = message.headers
    if not headers:
        return Carried(context, None, None)
    state = carrier.get(headers, _TRACESTATE)
    if _stock(propagate.get_global_textmap()) and carrier.get(headers, "baggage") is None:
        parent = carrier.get(headers, _TRACEPARENT)
        return Carried(context, _span_context(parent, state) if parent else None, state)
    # The stock baggage propagator raises on headers that are not ASCII.
    with guard:
        found = propagate.extract(headers, context, _HeaderGetter(carrier)) or context
        here = trace.get_current_span(context)
        span = trace.get_current_span(found)
        if span is here:
            return Carried(found, None, state)
        return Carried(trace.set_span_in_context(here, found), span.get_span_context(), state)
    return Carried(context, None, state)


def _unmarked(state: str) -> str:
    if _MARK not in state:
        return state
    if "," not in state and state.startswith(_MARK):
        return ""
    members = (member.strip() for member in state.split(","))
    return ",".join(member for member in members if not member.startswith(_MARK))


def _span_context(traceparent: str, tracestate: str | None) -> SpanContext | None:
    """What the stock propagator reads (W3C Trace Context), in 2 µs instead of 7."""
    parts = _VERSION_0(traceparent)
    if parts is None:
        headers = {_TRACEPARENT: traceparent, _TRACESTATE: tracestate or ""}
        found = TraceContextTextMapPropagator().extract(headers, Context())
        span_context = trace.get_current_span(found).get_span_context()
        return span_context if span_context.is_valid else None
    digits, span_digits, flags = parts.groups()
    trace_id, span_id = int(digits, 16), int(span_digits, 16)
    if not trace_id or not span_id:
        return None
    state = _unmarked(tracestate) if tracestate else ""
    members = TraceState.from_header([state]) if state else NO_STATE
    return valid_context(trace_id, span_id, True, _FLAGS[int(flags, 16)], members)  # noqa: FBT003 - is_remote


_stock_seen: TextMapPropagator | None = None


def _stock(propagator: TextMapPropagator) -> bool:
    """Whether these are the propagators that OpenTelemetry sets by default."""
    global _stock_seen  # noqa: PLW0603 - looked at once for each propagator, not for each message
    if propagator is _stock_seen:
        return True
    parts = getattr(propagator, "_propagators", ())
    stock = type(propagator) is CompositePropagator and [type(part) for part in parts] == _STOCK
    if stock:
        _stock_seen = propagator
    return stock


class _HeaderGetter(Getter[Any]):
    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    def get(self, carrier: Any, key: str) -> list[str] | None:
        value = self._carrier.get(carrier, key)
        return None if value is None else [value]

    def keys(self, carrier: Any) -> list[str]:
        return list(self._carrier.keys(carrier))
