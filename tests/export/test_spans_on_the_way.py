"""The lane against real collectors, for spans: what it does to records it does to them."""

from __future__ import annotations

import time

import grpc
import pytest

from otelope.export.signals import TRACES
from tests.export.collectors import GrpcCollector, Trouble, attributes
from tests.export.made import ended_span, envelope_record


@pytest.fixture
def lane(make_pipeline):
    def make(**settings):
        return make_pipeline(signal=TRACES, **settings)

    return make


def id_of(span):
    return span.attributes["otelope.envelope.id"]


def test_spans_arrive_with_resource_and_scope_and_nothing_else(collector, lane):
    pipeline = lane()
    made = ended_span()
    pipeline(made)
    assert pipeline.shutdown(10)
    (request,) = collector.traces
    (found,) = request.resource_spans
    resource = {pair.key: pair.value.string_value for pair in found.resource.attributes}
    assert resource == {"service.name": "shop", "service.version": "1.2.3"}
    assert found.scope_spans[0].scope.name == "otelope"
    (span,) = collector.spans
    assert (span.name, span.span_id) == ("send orders", made.context.span_id.to_bytes(8, "big"))
    assert attributes(span) == dict(made.attributes)
    assert pipeline.counters == (1, 1, 0, 0)
    # What a process says of itself is a record, and goes with those.
    assert collector.requests == []


def test_variables_for_traces_come_first(collector, lane, monkeypatch, unused_port):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "kind=logs")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "kind=traces")
    path = "" if collector.protocol == "grpc" else "/v1/traces"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.endpoint + path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused_port}")
    pipeline = lane()
    pipeline(ended_span())
    assert pipeline.flush(10)
    assert collector.metadata[0]["kind"] == "traces"


def test_an_outage_loses_nothing(collector, lane, caplog):
    answers = iter([Trouble(), Trouble(), Trouble()])
    collector.judge = lambda _: next(answers, None)
    pipeline = lane()
    sent = [ended_span() for _ in range(50)]
    for span in sent:
        pipeline(span)
    collector.wait(lambda c: len(c.spans) == 50)
    assert collector.span_ids == [id_of(span) for span in sent]
    assert pipeline.flush(5)
    assert pipeline.counters == (50, 50, 0, 0)
    assert "Spans cannot be delivered" in caplog.text
    assert "takes spans again" in caplog.text


def test_a_collector_that_is_killed_and_comes_back_gets_everything(lane, monkeypatch, unused_port):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused_port}")
    collector = GrpcCollector()
    collector.start(unused_port)
    pipeline = lane()
    sent = [ended_span() for _ in range(60)]
    for span in sent[:20]:
        pipeline(span)
    assert pipeline.flush(10)
    collector.stop()
    for span in sent[20:]:
        pipeline(span)
    assert not pipeline.flush(0.5)
    assert pipeline.failure is not None
    collector.start(unused_port)
    try:
        assert pipeline.flush(10)
        assert sorted(collector.span_ids) == sorted(map(id_of, sent))
    finally:
        collector.stop()


def test_a_poison_span_costs_no_other(collector, lane, caplog):
    poison = ended_span()
    trouble = Trouble(grpc.StatusCode.INVALID_ARGUMENT, 400)
    collector.judge = lambda request: trouble if id_of(poison) in str(request) else None
    pipeline = lane()
    sent = [ended_span() for _ in range(99)]
    for span in (*sent[:40], poison, *sent[40:]):
        pipeline(span)
    assert not pipeline.flush(10)
    assert sorted(collector.span_ids) == sorted(map(id_of, sent))
    assert pipeline.counters == (100, 99, 0, 1)
    assert "refused 1 of 100 spans" in caplog.text


def test_a_span_that_cannot_be_encoded_costs_no_other(collector, lane, caplog):
    pipeline = lane()
    for _ in range(3):
        pipeline(ended_span())
        odd = ended_span()
        odd.end_time = "now"
        pipeline(odd)
    assert not pipeline.flush(10)
    assert pipeline.counters == (6, 3, 0, 3)
    assert caplog.text.count("A span could not be encoded") == 1
    assert "otelope.spans.dropped counts" in caplog.text


def test_partial_success_is_counted(collector, lane):
    collector.traces_response.partial_success.rejected_spans = 2
    pipeline = lane()
    for _ in range(5):
        pipeline(ended_span())
    assert not pipeline.flush(10)
    assert pipeline.counters == (5, 3, 0, 2)


def test_a_full_queue_refuses_the_newest_and_keeps_the_rest(
    lane, unused_port, caplog, monkeypatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused_port}")
    pipeline = lane(queue_bytes=100_000)
    sent = [ended_span() for _ in range(200)]
    for span in sent:
        pipeline(span)
    assert not pipeline.flush(0.5)
    seen, stored, _, dropped = pipeline.counters
    assert (seen, stored) == (200, 0)
    assert 100 < dropped < 180
    assert "queue of spans is full" in caplog.text


def test_shutdown_is_bounded_when_the_collector_never_answers(collector, lane, caplog):
    collector.latency = 2
    pipeline = lane()
    pipeline(ended_span())
    started = time.monotonic()
    assert not pipeline.shutdown(0.3)
    assert time.monotonic() - started < 1
    assert "1 spans could not be delivered" in caplog.text


def test_what_is_hurried_needs_no_one_who_waits(collector, lane, make_pipeline):
    spans, records = lane(export_interval=600), make_pipeline(export_interval=600)
    for pipeline in (spans, records):
        pipeline.hurry()  # nothing is queued, and nothing starts
    spans(ended_span())
    records(envelope_record())
    for pipeline in (spans, records):
        pipeline.hurry()
    collector.wait(lambda c: len(c.spans) == len(c.ids) == 1)
