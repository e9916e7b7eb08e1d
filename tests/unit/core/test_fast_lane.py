"""The fast lane's spans are where, and what, the SDK would have made."""

from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider, _TracerConfig
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState

from otelope.core.fast_lane import FastTracing
from otelope.core.lineage import give_lineage
from otelope.core.placement import Placement, Spot
from otelope.core.spans import Limits, OwnSpan
from otelope.core.tracing import Tracing
from tests.unit.core.test_sampling import STOCK, parents, span_ids, trace_ids


class Own(Sampler):
    """Decides by the id, and tells what it was asked."""

    def __init__(self):
        self.asked = []

    def should_sample(
        self, parent_context, trace_id, name, kind=None, attributes=None, links=None
    ):
        here = trace.get_current_span(parent_context).get_span_context()
        linked = [link.context for link in links or ()]
        self.asked.append((here, trace_id, name, kind, dict(attributes or {}), linked))
        state = TraceState([("own", str(trace_id % 7))]) if trace_id % 2 else None
        decision = list(Decision)[trace_id % 3]
        found = (
            None if decision is Decision.DROP else {**(attributes or {}), "asked": [trace_id % 3]}
        )
        return SamplingResult(decision, found, state)

    def get_description(self):
        return "Own"


class Counting(IdGenerator):
    def __init__(self):
        self.last = 0

    def generate_span_id(self):
        self.last += 1
        return self.last

    def generate_trace_id(self):
        return self.generate_span_id() << 64 | 1 << 63


def placements(parent):
    spots = st.builds(Spot, trace_ids, span_ids)
    above = [None] if parent is None else [None, Spot(*parent[:2])]
    return st.builds(
        Placement,
        st.sampled_from(above) | spots,
        st.just(0) | trace_ids,
        st.just(0) | span_ids,
        st.lists(spots, max_size=3).map(tuple),
    )


class Lanes:
    """Both lanes, of providers alike."""

    def __init__(self, make_sampler, make_ids=lambda: None):
        self.recorded = []
        self.providers = [
            TracerProvider(sampler=make_sampler(), id_generator=make_ids()) for _ in range(2)
        ]
        self.lanes = (
            Tracing(self.providers[0]),
            FastTracing(self.providers[1], self.recorded.append),
        )

    def start(self, placement, here=None, attributes=None):
        context = Context()
        if here is not None:
            context = trace.set_span_in_context(trace.NonRecordingSpan(here), context)
        return [
            lane.start(
                "send orders",
                SpanKind.PRODUCER,
                {"id": "0198"} if attributes is None else attributes,
                placement,
                context=context,
                contexts=(here or trace.INVALID_SPAN_CONTEXT,),
                started_ns=1,
            )
            for lane in self.lanes
        ]


def agree_on(lanes, placement, here):
    lanes.recorded.clear()
    theirs, own = lanes.start(placement, here)
    assert own.get_span_context() == theirs.get_span_context()
    assert type(own.get_span_context()) is SpanContext
    assert own.is_recording() == theirs.is_recording()
    assert isinstance(own, OwnSpan) == own.is_recording()
    if own.is_recording():
        assert own.parent == theirs.parent
        assert dict(own.attributes) == dict(theirs.attributes)
        assert [link.context for link in own.links] == [link.context for link in theirs.links]
        assert (own.name, own.kind, own.start_time) == (theirs.name, theirs.kind, 1)
        own.end()
    # A span that is only recorded is the application's to read, and nobody's to export.
    assert lanes.recorded == ([own] if own.get_span_context().trace_flags.sampled else [])


@pytest.mark.parametrize("sampler", STOCK, ids=lambda sampler: sampler.get_description())
def test_stock_samplers(sampler):
    lanes = Lanes(lambda: sampler, Counting)
    assert lanes.lanes[1].active
    assert lanes.lanes[1]._stock is not None

    @given(st.data(), st.none() | parents)
    def agree(data, here):
        agree_on(lanes, data.draw(placements(here)), here)

    agree()


@pytest.mark.parametrize("wrap", [lambda own: own, ParentBased], ids=["alone", "parent based"])
def test_another_sampler_is_asked_what_the_sdk_asks_it(wrap):
    own = []

    def make():
        own.append(Own())
        return wrap(own[-1])

    lanes = Lanes(make, Counting)

    @given(st.data(), st.none() | parents)
    def agree(data, here):
        agree_on(lanes, data.draw(placements(here)), here)
        assert own[0].asked == own[1].asked

    agree()
    assert own[0].asked


def test_drawn_ids_are_the_generators():
    lanes = Lanes(lambda: None)
    for provider in lanes.providers:
        give_lineage(provider)
    spans = [lanes.start(Placement(None))[1] for _ in range(3)]
    spans += [lanes.start(Placement(Spot(7, 1)))[1] for _ in range(3)]
    assert len({span.context.span_id for span in spans}) == 6
    assert len({span.context.trace_id for span in spans[:3]}) == 3
    assert {span.context.trace_id >> 76 & 15 for span in spans[:3]} == {8}  # they have a lineage


def test_disabled_tracer_passes_the_parent_on():
    lanes = Lanes(lambda: None)
    here = SpanContext(7, 9, is_remote=True)
    lanes.start(Placement(None))
    for lane in lanes.lanes:
        lane._tracer._set_tracer_config(_TracerConfig(is_enabled=False))
    for placement in (Placement(Spot(7, 9)), Placement(None, 7, 5)):
        theirs, own = (span.get_span_context() for span in lanes.start(placement, here))
        assert own == theirs
    assert own == trace.INVALID_SPAN_CONTEXT


def test_nothing_is_made_without_an_sdk(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    for provider in (TracerProvider(), trace.NoOpTracerProvider()):
        tracing = FastTracing(provider, lambda _: None)
        assert not tracing.active
        span = tracing.start(
            "send", SpanKind.PRODUCER, {}, Placement(None), context=Context(), contexts=(),
            started_ns=1,
        )  # fmt: skip
        assert span is trace.INVALID_SPAN


def test_provider_that_is_set_late_is_used(monkeypatch):
    tracing = FastTracing(None, lambda _: None)
    assert not tracing.active
    provider = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    assert tracing.active
    assert tracing._maker.provider is provider


def test_tracer_that_tells_no_limits_has_the_usual_ones():
    provider = TracerProvider()
    tracing = FastTracing(provider, lambda _: None)
    del provider.get_tracer(
        "otelope", None, "https://opentelemetry.io/schemas/1.44.0"
    )._span_limits
    assert tracing.active
    assert tracing._maker.limits == Limits()


def test_flags_are_looked_up_for_every_combination():
    lanes = Lanes(lambda: None)
    for flags in range(4):
        here = SpanContext(7, 9, is_remote=True, trace_flags=TraceFlags(flags))
        theirs, own = (
            span.get_span_context() for span in lanes.start(Placement(Spot(7, 9)), here)
        )
        assert own.trace_flags == theirs.trace_flags
        assert type(own.trace_flags) is TraceFlags
