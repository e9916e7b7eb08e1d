"""Our spans' bytes against those that OpenTelemetry's exporter makes of the SDK's."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otelope.core.spans import Limits, Maker, OwnSpan
from otelope.export.request import Request, entry
from otelope.export.span import encoded_span, weight_of_span
from otelope.model import semconv
from tests.export.made import ended_span, span


texts = st.text(max_size=40)
keys = st.text(min_size=1, max_size=9) | st.sampled_from(
    [value for name, value in vars(semconv).items() if name.startswith(("ENVELOPE_", "MESSAGING"))]
)
numbers = st.integers(-(2**63), 2**63 - 1)
scalars = st.none() | st.booleans() | numbers | st.floats() | texts | st.binary(max_size=9)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
attributes = st.dictionaries(keys, values, max_size=6)
moments = st.integers(1, 2**63 - 1)
states = st.sampled_from([TraceState(), TraceState([("a", "1"), ("b", "2")])])
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.builds(TraceFlags, st.integers(0, 3)),
    states,
)
statuses = st.builds(Status, st.just(StatusCode.ERROR), st.none() | texts) | st.builds(
    Status, st.sampled_from(StatusCode)
)
additions = st.lists(
    st.one_of(
        st.tuples(st.just("set_attributes"), st.tuples(attributes)),
        st.tuples(st.just("add_event"), st.tuples(texts, attributes, st.integers(0, 2**63 - 1))),
        st.tuples(st.just("add_link"), st.tuples(contexts, attributes)),
        st.tuples(st.just("set_status"), st.tuples(statuses)),
    ),
    max_size=6,
)


class Fixed:
    """Ids as given."""

    def __init__(self, context):
        self.generate_trace_id = lambda: context.trace_id
        self.generate_span_id = lambda: context.span_id
        self.is_trace_id_random = lambda: bool(context.trace_flags & 2)


@pytest.mark.parametrize("most", [128, 2], ids=["usual", "narrow"])
def test_a_span_is_what_opentelemetry_writes(most):
    limits = SpanLimits(
        max_attributes=most, max_events=most, max_links=most, max_span_attributes=max(most, 6)
    )
    own_limits = Limits(max(most, 6), most, most, most, most)

    @given(
        texts,
        st.sampled_from(SpanKind),
        attributes,
        contexts,
        st.none() | contexts,
        st.lists(contexts, max_size=most),
        st.tuples(moments, moments),
        additions,
    )
    def agree(name, kind_, attributes, context, parent, linked, times, added):
        started, ended = times
        finished = InMemorySpanExporter()
        provider = TracerProvider(span_limits=limits, id_generator=Fixed(context))
        provider.add_span_processor(SimpleSpanProcessor(finished))
        around = None
        if parent is not None:
            # As a sampled one, that this be exported too.
            parent = SpanContext(*parent[:3], TraceFlags(1), parent.trace_state)
            around = set_span_in_context(NonRecordingSpan(parent))
        theirs = provider.get_tracer("otelope").start_span(
            name, around, kind_, attributes, [Link(each) for each in linked], started
        )
        own = OwnSpan(
            name,
            kind_,
            attributes,
            theirs.get_span_context(),
            parent,
            linked,
            started,
            Maker(None, own_limits),
            lambda _: None,
        )
        own.bounded_attributes()
        for each in (theirs, own):
            for call, arguments in added:
                getattr(each, call)(*arguments)
            each.end(ended)
        request = encode_spans(finished.get_finished_spans())
        (expected,) = request.resource_spans[0].scope_spans[0].spans
        written = encoded_span(own)
        assert Message.FromString(written) == expected
        assert written == expected.SerializeToString()

    agree()


def test_what_others_make_of_our_attributes_is_written_as_it_is():
    found = Message.FromString(encoded_span(ended_span({semconv.ENVELOPE_ID: 7, "other": 1})))
    assert [(each.key, each.value.int_value) for each in found.attributes] == [
        (semconv.ENVELOPE_ID, 7),
        ("other", 1),
    ]


def test_text_that_utf8_cannot_hold_costs_one_sign():
    found = Message.FromString(encoded_span(ended_span({"a\ud800": "b\ud800"}, "c\ud800")))
    assert (found.name, found.attributes[0].key) == ("c?", "a?")
    assert found.attributes[0].value.string_value == "b?"


def test_the_request_is_opentelemetrys():
    spans = [ended_span(), ended_span()]
    request = Request.of_process({"service.name": "shop"}, "1.2.3")(
        [entry(encoded_span(s)) for s in spans]
    )
    read = ExportTraceServiceRequest.FromString(request)
    assert read.SerializeToString() == request
    (resource,) = read.resource_spans
    (scope,) = resource.scope_spans
    assert resource.resource.attributes[0].value.string_value == "shop"
    assert (scope.scope.name, scope.scope.version) == ("otelope", "1.2.3")
    assert scope.schema_url == semconv.SCHEMA_URL
    assert [each.span_id for each in scope.spans] == [
        each.context.span_id.to_bytes(8, "big") for each in spans
    ]


def _failed():
    made = span()
    made.set_attribute(semconv.ERROR_TYPE, "ValueError")
    made.record_exception(ValueError("no such order"))
    made.set_status(Status(StatusCode.ERROR, "ValueError"))
    made.end()
    return made


def _linked():
    made = span(linked=[SpanContext(n << 70, n << 35, is_remote=True) for n in range(1, 129)])
    made.end()
    return made


def _written():
    made = span()
    for number in range(20):
        made.add_event("note", {"text": "x" * 1_000 + str(number)})
    made.end()
    return made


@pytest.mark.parametrize("make", [ended_span, _failed, _linked, _written])
def test_the_weight_is_about_the_memory(make):
    count = 1_000
    made = []
    make()  # warm caches
    gc.collect()
    tracemalloc.start()
    made.extend(make() for _ in range(count))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    real, estimated = size / count, sum(map(weight_of_span, made)) / count
    assert 0.6 * real < estimated < 1.6 * real, (real, estimated)
