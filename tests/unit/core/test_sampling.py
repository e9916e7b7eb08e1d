"""Spans that a stock sampler does not take are those that the SDK would have made."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import Tracer, TracerProvider, _TracerConfig
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    StaticSampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

from otelope.core.placement import Placement, Spot
from otelope.core.sampling import stock_sampler
from otelope.core.tracing import Tracing


TRACE_ID, SPAN_ID = 7 << 64 | 1 << 63, 5

ROOTS = [ALWAYS_ON, ALWAYS_OFF, *map(TraceIdRatioBased, (0.0, 0.25, 0.5, 1.0))]
STOCK = [*ROOTS, *map(ParentBased, ROOTS), DEFAULT_ON, DEFAULT_OFF, ParentBasedTraceIdRatio(0.5)]

trace_ids = st.integers(1, 2**128 - 1)
span_ids = st.integers(1, 2**64 - 1)
# What is sampled by ratio is decided at multiples of 1/4 of the last 64 bits.
near_a_bound = st.builds(
    lambda quarter, off: (1 << 100) + (quarter << 62) + off, st.integers(0, 3), st.integers(-1, 1)
)
flags = st.builds(TraceFlags, st.integers(0, 3))
states = st.sampled_from([TraceState(), TraceState([("vendor", "1")])])
parents = st.builds(
    SpanContext, trace_ids | near_a_bound, st.just(9), st.booleans(), flags, states
)


def started(tracing, placement, *contexts):
    return tracing.start(
        "send orders",
        SpanKind.PRODUCER,
        {},
        placement,
        context=Context(),
        contexts=contexts,
        started_ns=1,
    )


@pytest.mark.parametrize("sampler", STOCK, ids=lambda sampler: sampler.get_description())
def test_spans_are_the_sdks(sampler):
    tracing = Tracing(TracerProvider(sampler=sampler))
    plain = TracerProvider(sampler=sampler)

    @given(trace_ids | near_a_bound, st.none() | parents)
    def agree(trace_id, parent):
        if parent is None:
            found = started(tracing, Placement(None, trace_id, SPAN_ID))
            context = Context()
        else:
            spot = Spot(parent.trace_id, parent.span_id)
            found = started(tracing, Placement(spot, span_id=SPAN_ID), parent)
            trace_id = parent.trace_id
            context = trace.set_span_in_context(NonRecordingSpan(parent), Context())
        tracer = plain.get_tracer("sdk")
        tracer.id_generator.generate_trace_id = lambda: trace_id
        expected = tracer.start_span("send orders", context)
        ours, theirs = found.get_span_context(), expected.get_span_context()
        assert (ours.trace_id, ours.span_id) == (trace_id, SPAN_ID)
        assert ours[2:] == theirs[2:]
        assert found.is_recording() == expected.is_recording()
        assert type(found) is type(expected)

    agree()


@given(trace_ids | near_a_bound, st.sampled_from(ROOTS))
def test_flags_of_an_unknown_span_are_the_samplers_word(trace_id, sampler):
    tracing = Tracing(TracerProvider(sampler=ParentBased(sampler)))
    assert tracing.active
    answer = sampler.should_sample(Context(), trace_id, "")
    assert tracing.sampled(trace_id).sampled == answer.decision.is_sampled()


def test_span_without_pinned_ids_gets_drawn_ones():
    tracing = Tracing(TracerProvider(sampler=ALWAYS_OFF))
    contexts = [started(tracing, Placement(None)).get_span_context() for _ in range(3)]
    below = Placement(Spot(TRACE_ID, 1))
    contexts += [started(tracing, below).get_span_context() for _ in range(3)]
    assert len({context.span_id for context in contexts}) == 6
    assert len({context.trace_id for context in contexts[:3]}) == 3


class Own(TraceIdRatioBased):
    """A sampler with a rule of its own."""

    def should_sample(self, *args, **kwargs):
        return super().should_sample(*args, **kwargs)


class Other(Sampler):
    def should_sample(self, *_, **__):
        return SamplingResult(Decision.DROP)

    def get_description(self):
        return "Other"


@pytest.mark.parametrize(
    "sampler",
    [
        Other(),
        Own(0.5),
        ParentBased(Other()),
        ParentBased(ParentBased(ALWAYS_ON)),
        ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF),
        ParentBased(ALWAYS_ON, local_parent_not_sampled=TraceIdRatioBased(0.5)),
        StaticSampler(Decision.RECORD_ONLY),
        None,
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_any_other_sampler_has_to_be_asked(sampler):
    assert stock_sampler(sampler) is None


def test_stock_sampler_is_not_asked():
    """What it saves: the SDK's way takes 6 µs, for a span that is none."""
    provider = TracerProvider(sampler=TraceIdRatioBased(0))
    tracing = Tracing(provider)
    assert tracing.active
    if tracing._stock is None:
        pytest.skip("not applicable: this SDK counts every span")
    asked = []
    provider.sampler.should_sample = lambda *args: asked.append(args)
    started(tracing, Placement(None, TRACE_ID, SPAN_ID))
    assert asked == []


def test_disabled_tracer_passes_the_parent_on():
    tracing = Tracing(TracerProvider(sampler=ALWAYS_OFF))
    assert tracing.active
    tracing._tracer._set_tracer_config(_TracerConfig(is_enabled=False))
    parent = SpanContext(TRACE_ID, 9, is_remote=True)
    assert started(tracing, Placement(Spot(TRACE_ID, 9)), parent).get_span_context() is parent


def test_spans_that_are_not_taken_are_counted_where_that_is_wanted(monkeypatch):
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    provider = TracerProvider(sampler=ALWAYS_OFF, meter_provider=MeterProvider([reader]))
    started(Tracing(provider), Placement(None, TRACE_ID, SPAN_ID))
    metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert [metric.data.data_points[0].value for metric in metrics] == [1]


def test_another_tracer_is_left_to_make_its_spans():
    made = []

    class Counting(Tracer):
        def start_span(self, name, *args, **kwargs):
            made.append(name)
            return super().start_span(name, *args, **kwargs)

    provider = TracerProvider(sampler=ALWAYS_OFF)
    tracing = Tracing(provider)
    assert tracing.active
    tracing._tracer.__class__ = Counting
    tracing._adopt(provider)
    started(tracing, Placement(None, TRACE_ID, SPAN_ID))
    assert made == ["send orders"]
