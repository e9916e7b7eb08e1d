"""A span of ours is the SDK's, whatever an application does to it."""

from __future__ import annotations

import logging
import threading

import pytest

from azure.core.tracing.ext.opentelemetry_span import OpenTelemetrySpan
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otelope.core.fast_lane import FastTracing
from otelope.core.placement import Placement, Spot
from otelope.core.spans import LINK_BYTES, Limits
from otelope.core.surroundings import surroundings


HERE = Spot(7 << 64 | 1 << 63, 5)
ABOVE = SpanContext(HERE.trace_id, 9, is_remote=True, trace_flags=TraceFlags(1))
NARROW = SpanLimits(
    max_span_attributes=4,
    max_events=2,
    max_links=2,
    max_event_attributes=1,
    max_link_attributes=1,
    max_attribute_length=3,
    max_span_attribute_length=5,
)
SHUT = SpanLimits(max_span_attributes=0, max_events=0, max_links=0)
OPEN = SpanLimits(
    **dict.fromkeys([name for name in vars(NARROW) if name.startswith("max_")], SpanLimits.UNSET)
)
OURS = {"otelope.envelope.id": "0198", "otelope.envelope.type": "OrderPlaced", "count": 3}
LINKED = (Spot(3, 4), Spot(5, 6))


class Odd:
    def __str__(self):
        return "odd"


class Plain:
    pass


keys = st.sampled_from(["a", "b", "c", "d", "count", "", 5])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=9)
    | st.binary(max_size=5)
    | st.builds(Odd)
    | st.builds(Plain),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "", 7]), inner, max_size=2)
    ),
    max_leaves=5,
)
attributes = st.none() | st.dictionaries(keys, values, max_size=6)
contexts = st.builds(
    SpanContext, st.integers(0, 3), st.integers(0, 3), st.booleans(), st.builds(TraceFlags)
)
codes = st.sampled_from(StatusCode)
texts = st.none() | st.text(max_size=5)
moments = st.none() | st.integers(1, 10**9)
errors = st.sampled_from(
    [ValueError("bad"), KeyError(), threading.BrokenBarrierError("x"), KeyboardInterrupt()]
)


def call(name, *arguments):
    return st.tuples(st.just(name), st.tuples(*arguments))


calls = st.lists(
    st.one_of(
        call("set_attribute", keys, values),
        call("set_attributes", st.dictionaries(keys, values, max_size=6)),
        call("add_event", texts, attributes, st.integers(1, 10**9)),
        call("add_link", st.none() | contexts, attributes),
        call("update_name", st.text(max_size=5)),
        call("set_status", codes, texts),
        call("set_status", st.builds(Status, codes, texts), texts),
        call("record_exception", errors, attributes, st.integers(1, 10**9), st.booleans()),
        call("end", moments),
    ),
    max_size=12,
)


def started(limits, recorder=lambda _: None, links=LINKED):
    """The same span of both lanes."""
    provider = TracerProvider(span_limits=limits)
    tracing = FastTracing(provider, recorder)
    own = tracing.start(
        "send orders",
        SpanKind.PRODUCER,
        dict(OURS),
        Placement(Spot(*ABOVE[:2]), span_id=HERE.span_id, links=links),
        context=trace.set_span_in_context(trace.NonRecordingSpan(ABOVE)),
        contexts=(ABOVE,),
        started_ns=1,
    )
    plain = TracerProvider(span_limits=limits).get_tracer("otelope")
    plain.id_generator.generate_span_id = lambda: HERE.span_id
    theirs = plain.start_span(
        "send orders",
        trace.set_span_in_context(trace.NonRecordingSpan(ABOVE)),
        SpanKind.PRODUCER,
        dict(OURS),
        [Link(tracing.context_of(spot, (ABOVE,))) for spot in links],
        1,
    )
    return own, theirs


def read(span):
    """All that can be read of a span."""
    return {
        "name": span.name,
        "kind": span.kind,
        "context": span.context,
        "same context": span.get_span_context(),
        "parent": span.parent,
        "attributes": list(span.attributes.items()),
        "dropped attributes": span.dropped_attributes,
        "events": [
            (
                each.name,
                each.timestamp,
                list(each.attributes.items()),
                each.dropped_attributes,
            )
            for each in span.events
        ],
        "dropped events": span.dropped_events,
        "links": [
            (each.context, list((each.attributes or {}).items()), each.dropped_attributes)
            for each in span.links
        ],
        "dropped links": span.dropped_links,
        "status": (span.status.status_code, span.status.description),
        "start": span.start_time,
        "recording": span.is_recording(),
        "scope": span.instrumentation_scope.name,
    }


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize(
    "limits",
    [SpanLimits(), NARROW, SHUT, OPEN],
    ids=["usual", "narrow", "shut", "open"],
)
def test_whatever_is_done_to_it_reads_like_the_sdks(limits):
    @given(calls)
    def agree(done):
        own, theirs = started(limits)
        assert read(own) == read(theirs)
        for name, arguments in done:
            for span in (own, theirs):
                getattr(span, name)(*arguments)
            assert read(own) == read(theirs), name
        ended = [(name, moment[0]) for name, moment in done if name == "end"]
        if ended and ended[0][1] is not None:
            assert own.end_time == theirs.end_time == ended[0][1]
        assert (own.end_time is None) == (theirs.end_time is None) == (not ended)

    agree()


def test_as_a_context_manager_it_notes_what_was_raised_and_ends():
    own, theirs = started(SpanLimits())
    for span in (own, theirs):
        error = ValueError("no such order")
        with pytest.raises(ValueError, match="no such"), span:
            raise error
        with span:
            pass
    (event,), (expected,) = own.events, theirs.events
    assert {**event.attributes} | {"exception.stacktrace": ""} == {
        **expected.attributes,
        "exception.stacktrace": "",
    }
    assert "raise error" in event.attributes["exception.stacktrace"]
    assert (own.status.status_code, own.status.description) == (
        StatusCode.ERROR,
        "ValueError: no such order",
    )
    assert own.status.description == theirs.status.description
    assert not own.is_recording()


def test_application_gets_it_as_a_span_and_we_know_it_as_ours():
    own, _ = started(SpanLimits())
    assert isinstance(own, trace.Span)
    with trace.use_span(own):
        assert trace.get_current_span() is own
        assert surroundings().ours
    assert repr(own).startswith('OwnSpan(name="send orders", context=SpanContext(')
    assert own.resource.attributes["telemetry.sdk.language"] == "python"


def test_is_handed_over_once_when_it_ends(caplog):
    caplog.set_level(logging.WARNING)
    recorded = []
    own, _ = started(SpanLimits(), recorded.append)
    own.set_attribute("a", 1)
    assert recorded == []
    own.end(7)
    own.end(8)
    own.set_attribute("a", 2)
    own.set_attributes({"a": 2})
    own.add_event("late")
    own.add_link(ABOVE)
    own.update_name("late")
    own.set_status(StatusCode.OK)
    assert recorded == [own]
    assert (own.end_time, own.name, own.attributes["a"]) == (7, "send orders", 1)
    assert (own.events, len(own.links), own.status.is_unset) == ((), 2, True)
    assert caplog.text.count("on an ended span") == 7


def test_threads_that_end_it_hand_it_over_once_and_writers_write_before_or_not_at_all():
    for _ in range(200):
        recorded = []

        def record(span, to=recorded):
            to.append((span, dict(span.attributes)))

        own, _ = started(SpanLimits(), record)
        gate = threading.Barrier(4)

        def end(span=own, gate=gate):
            gate.wait()
            span.end()

        def write(span=own, gate=gate):
            gate.wait()
            for number in range(20):
                span.set_attribute(f"n{number}", number)

        threads = [threading.Thread(target=each) for each in (end, end, write, write)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ((span, when_handed_over),) = recorded
        assert dict(span.attributes) == when_handed_over


def test_a_handler_may_end_what_it_interrupts_the_writing_to():
    own, _ = started(SpanLimits())

    class Ends(dict):
        def items(self):
            own.end(7)
            return super().items()

    own.set_attributes(Ends(a=1))
    assert own.end_time == 7


def test_what_others_write_is_weighed_when_it_ends():
    own, _ = started(SpanLimits(), links=())
    assert own.added == 0
    own.set_attribute("text", "x" * 10_000)
    for number in range(1_000):
        own.set_attribute("progress", number)
    own.add_event("note", {"text": "x" * 10_000, "more": ["y" * 1_000] * 2})
    own.add_link(ABOVE, {"text": "x" * 10_000})
    own.end()
    assert 32_000 + LINK_BYTES < own.added < 34_000
    linked, _ = started(SpanLimits())
    assert linked.added == 2 * LINK_BYTES


def test_azures_plugin_links_it_to_what_a_message_says():
    own, _ = started(SpanLimits(), links=())
    with trace.use_span(own):
        OpenTelemetrySpan.link(f"00-{ABOVE.trace_id:032x}-{ABOVE.span_id:016x}-01")
    own.end()
    assert [link.context for link in own.links] == [ABOVE]
    assert own.added > LINK_BYTES


@pytest.mark.parametrize("limits", [SpanLimits(), NARROW, SHUT, OPEN])
def test_limits_are_the_providers(limits):
    own, _ = started(limits)
    assert own._maker.limits == Limits(
        limits.max_span_attributes,
        limits.max_events,
        limits.max_links,
        limits.max_event_attributes,
        limits.max_link_attributes,
        limits.max_span_attribute_length,
        limits.max_attribute_length,
    )
