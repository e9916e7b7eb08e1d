"""The short ways through the stock propagators read and write just what those do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.propagation import carried, injected


hexadecimal = st.text("0123456789abcdef", min_size=1, max_size=32)
written = st.builds(
    "00-{:032x}-{:016x}-{:02x}".format,
    st.integers(0, 2**128 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 255),
)


# What other senders write, and what they must not: one character put in, taken out or replaced.
@st.composite
def almost_written(draw: st.DrawFn) -> str:
    text = draw(written)
    at = draw(st.integers(0, len(text)))
    some = draw(st.sampled_from(["", "-", "f", "F", "g", "_", "+", " ", "\t", "\u0660"]))
    return text[:at] + some + text[at + draw(st.integers(0, 1)) :]


versions = st.builds("{}{}{}".format, hexadecimal, written.map(lambda t: t[2:]), st.just("-later"))
traceparents = written | almost_written() | versions | st.text()
states = st.sampled_from(["", "vendor=1", "a=1,b=2", "no state"])


def by_stock(headers):
    found = propagate.extract(headers, Context())
    context = trace.get_current_span(found).get_span_context()
    return context if context.is_valid else None


@given(traceparents, states)
def test_what_is_read_is_what_the_stock_propagator_reads(traceparent, state):
    headers = {"traceparent": traceparent, "tracestate": state}
    came = carried(Message("orders", b"", headers), MAPPING, Context())
    context, found = came.context, came.span_context
    assert context == Context()
    assert found == by_stock(headers)


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
    st.sampled_from([TraceState(), TraceState([("a", "1"), ("b", "2")])]),
)
def test_what_is_written_is_what_the_stock_propagator_writes(trace_id, span_id, flags, state):
    span_context = SpanContext(trace_id, span_id, False, TraceFlags(flags), state)
    context = trace.set_span_in_context(NonRecordingSpan(span_context), Context())
    expected = {}
    propagate.inject(expected, context)
    rest = expected.pop("tracestate", "")
    mark = f"otelope={5:016x}"
    assert injected(context, 5) == {**expected, "tracestate": f"{mark},{rest}" if rest else mark}


@given(states.filter(lambda state: state != "no state"))
def test_own_mark_is_not_passed_on(state):
    traceparent = f"00-{7:032x}-{8:016x}-01"
    marked = ",".join(filter(None, [f"otelope={5:016x}", state]))
    headers = {"traceparent": traceparent, "tracestate": marked}
    found = carried(Message("orders", b"", headers), MAPPING, Context()).span_context
    assert found == by_stock({"traceparent": traceparent, "tracestate": state})


def test_nothing_is_written_without_a_span():
    assert injected(Context(), 5) == {}
