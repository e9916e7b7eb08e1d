"""The whole lane against real collectors."""

from __future__ import annotations

import json
import logging
import threading
import time

import pytest

from msgspec.structs import replace

from otelope.export.batching import BATCH_BYTES
from tests.export.collectors import Trouble, attributes
from tests.export.made import delivery_record, envelope_record


def test_records_arrive_with_resource_scope_and_body(collector, make_pipeline):
    pipeline = make_pipeline()
    record = envelope_record()

    pipeline(record)
    pipeline(delivery_record())

    assert pipeline.flush(10)
    (request,) = collector.requests[:1]
    (logs,) = request.resource_logs
    resource = {pair.key: pair.value.string_value for pair in logs.resource.attributes}
    assert resource == {"service.name": "shop", "service.version": "1.2.3"}
    assert logs.scope_logs[0].scope.name == "otelope"
    (envelope,) = collector.named("otelope.envelope")
    assert envelope.body.string_value.encode() == record.envelope.text
    assert len(collector.named("otelope.delivery")) == 1
    assert pipeline.counters == (2, 2, 0, 0)


def test_a_record_is_sent_after_the_interval_without_a_flush(collector, make_pipeline):
    pipeline = make_pipeline(export_interval=0.02)
    pipeline(envelope_record())
    collector.wait(lambda c: len(c.ids) == 1)
    pipeline(envelope_record())  # and again from idleness
    collector.wait(lambda c: len(c.ids) == 2)


def test_records_within_the_interval_share_a_request(collector, make_pipeline):
    pipeline = make_pipeline(export_interval=0.3)
    for _ in range(100):
        pipeline(envelope_record())
    collector.wait(lambda c: len(c.ids) == 100)
    assert sum(1 for r in collector.requests if "otelope.envelope" in str(r)) == 1


def test_a_full_batch_does_not_wait_for_the_interval(collector, make_pipeline):
    pipeline = make_pipeline(export_interval=600)
    for _ in range(800):
        pipeline(envelope_record(body_bytes=8_500))
    collector.wait(lambda c: len(c.ids) > 300)
    assert pipeline.flush(10)
    assert len(set(collector.ids)) == 800


def test_large_bodies_are_sent_in_batches_that_every_receiver_takes(collector, make_pipeline):
    pipeline = make_pipeline()
    sent = [envelope_record(body_bytes=8_500) for _ in range(1_500)]
    for record in sent:
        pipeline(record)

    assert pipeline.flush(20)
    assert sorted(collector.ids) == sorted(record.envelope.id for record in sent)
    assert max(collector.sizes) <= BATCH_BYTES + 1_000


def test_a_record_above_the_batch_size_goes_alone(make_pipeline, monkeypatch):
    from tests.export.collectors import HttpCollector
    from tests.export.conftest import point_to

    collector = HttpCollector()
    collector.start()
    point_to(monkeypatch, collector)
    try:
        pipeline = make_pipeline()
        for size in (100, 5_000_000, 100):
            pipeline(envelope_record(body_bytes=size))
        assert pipeline.flush(20)
        assert len(collector.ids) == 3
    finally:
        collector.stop()


def test_an_outage_loses_nothing(collector, make_pipeline, caplog):
    answers = iter([Trouble(), Trouble(), Trouble()])
    collector.judge = lambda _: next(answers, None)
    pipeline = make_pipeline()
    sent = [envelope_record() for _ in range(50)]
    for record in sent:
        pipeline(record)

    collector.wait(lambda c: len(c.ids) == 50)
    assert collector.ids == [record.envelope.id for record in sent]
    assert pipeline.flush(5)
    assert pipeline.counters.stored == 50
    assert pipeline.counters.dropped == 0
    assert caplog.text.count("cannot be delivered") == 1
    assert caplog.text.count("takes records again") == 1


def test_a_collector_that_is_not_there_yet_gets_everything_once_it_is(
    make_pipeline, monkeypatch, unused_port
):
    from tests.export.collectors import GrpcCollector

    collector = GrpcCollector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused_port}")
    pipeline = make_pipeline()
    for _ in range(20):
        pipeline(envelope_record())
    assert not pipeline.flush(0.5)
    assert pipeline.failure is not None
    collector.start(unused_port)
    try:
        assert pipeline.flush(10)
        assert len(collector.ids) == 20
        assert pipeline.failure is None
    finally:
        collector.stop()


def test_retry_after_is_honoured(collector, make_pipeline):
    delay = b"\x12\x00" if collector.protocol == "grpc" else b""
    headers = {"Retry-After": "1"}
    if delay:
        retry_info = b"\x0a\x02\x08\x01"  # RetryInfo{retry_delay: Duration{seconds: 1}}
        url = b"type.googleapis.com/google.rpc.RetryInfo"
        detail = (
            b"\x0a" + bytes([len(url)]) + url + b"\x12" + bytes([len(retry_info)]) + retry_info
        )
        status = b"\x08\x0e\x1a" + bytes([len(detail)]) + detail
        headers = {"grpc-status-details-bin": status}
    seen = []

    def judge(_):
        seen.append(time.monotonic())
        return Trouble(headers=headers) if len(seen) == 1 else None

    collector.judge = judge
    pipeline = make_pipeline()
    pipeline(envelope_record())

    assert pipeline.flush(10)
    assert 0.95 < seen[1] - seen[0] < 3


def test_a_poison_record_costs_no_other(collector, make_pipeline, caplog):
    poison = envelope_record()
    trouble = Trouble(__import__("grpc").StatusCode.INVALID_ARGUMENT, 400)
    collector.judge = lambda request: trouble if poison.envelope.id in str(request) else None
    pipeline = make_pipeline()
    sent = [envelope_record() for _ in range(99)]
    for record in (*sent[:40], poison, *sent[40:]):
        pipeline(record)

    assert not pipeline.flush(10)
    assert sorted(collector.ids) == sorted(record.envelope.id for record in sent)
    assert pipeline.counters == (100, 99, 0, 1)
    assert "refused 1 of 100" in caplog.text


def test_a_collector_that_refuses_everything_is_not_asked_for_each_record(
    collector, make_pipeline
):
    collector.judge = lambda _: Trouble(__import__("grpc").StatusCode.INVALID_ARGUMENT, 400)
    pipeline = make_pipeline(export_interval=600)
    for _ in range(1_000):
        pipeline(envelope_record())

    assert not pipeline.flush(10)
    assert pipeline.counters.dropped == 1_000
    assert collector.asked < 250


def test_wrong_credentials_keep_records_until_they_are_put_right(collector, make_pipeline):
    answers = iter([Trouble(__import__("grpc").StatusCode.UNAUTHENTICATED, 401)] * 2)
    collector.judge = lambda _: next(answers, None)
    pipeline = make_pipeline()
    pipeline(envelope_record())
    assert pipeline.flush(10)
    assert pipeline.counters == (1, 1, 0, 0)


def test_partial_success_is_counted(collector, make_pipeline):
    collector.response.partial_success.rejected_log_records = 2
    collector.response.partial_success.error_message = "two of them"
    pipeline = make_pipeline()
    for _ in range(5):
        pipeline(envelope_record())
    assert not pipeline.flush(10)
    assert pipeline.counters == (5, 3, 0, 2)


def test_a_record_that_cannot_be_encoded_costs_no_other(collector, make_pipeline, caplog):
    pipeline = make_pipeline()
    for _ in range(3):
        pipeline(envelope_record())
        pipeline(replace(envelope_record(), trace_id="no number"))
    assert not pipeline.flush(10)
    assert pipeline.counters == (6, 3, 0, 3)
    assert caplog.text.count("could not be encoded") == 1


def test_a_full_queue_refuses_the_newest_and_keeps_the_rest(
    make_pipeline, unused_port, caplog, monkeypatch
):
    from tests.export.collectors import GrpcCollector

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused_port}")
    pipeline = make_pipeline(queue_bytes=100_000)
    sent = [envelope_record() for _ in range(200)]
    for record in sent:
        pipeline(record)
    assert not pipeline.flush(0.5)
    seen, stored, _, dropped = pipeline.counters
    assert (seen, stored) == (200, 0)
    assert 100 < dropped < 180
    assert "queue of records is full" in caplog.text

    collector = GrpcCollector()
    collector.start(unused_port)
    try:
        assert pipeline.flush(10)
        assert collector.ids == [record.envelope.id for record in sent[: 200 - dropped]]
        pipeline(envelope_record())  # there is room again
        assert pipeline.flush(10)
        assert pipeline.counters == (201, 201 - dropped, 0, dropped)
    finally:
        collector.stop()


def test_the_process_says_what_it_is_first_and_last(collector, make_pipeline):
    pipeline = make_pipeline(status=lambda: {"instrumented": ["pika"]})
    pipeline(envelope_record())
    collector.wait(lambda c: len(c.named("otelope.process")) == 1)
    pipeline(envelope_record())
    assert pipeline.shutdown(10)
    first, last = (
        json.loads(record.body.string_value) for record in collector.named("otelope.process")
    )
    assert first["instrumented"] == last["instrumented"] == ["pika"]
    assert last["counters"] == {"seen": 2, "stored": 2, "spooled": 0, "dropped": 0}
    assert attributes(collector.named("otelope.process")[0])["process.pid"] > 1


def test_flush_and_shutdown_without_a_record_are_immediate_and_start_nothing(
    collector, make_pipeline
):
    pipeline = make_pipeline()
    assert pipeline.flush(0)
    assert pipeline.shutdown(0)
    assert collector.asked == 0


def test_after_shutdown_records_are_counted_as_dropped(collector, make_pipeline):
    pipeline = make_pipeline()
    pipeline(envelope_record())
    assert pipeline.shutdown(10)
    pipeline(envelope_record())
    assert pipeline.counters == (2, 1, 0, 1)
    assert pipeline.shutdown(10)


def test_shutdown_is_bounded_when_the_collector_never_answers(collector, make_pipeline, caplog):
    collector.latency = 2
    pipeline = make_pipeline()
    pipeline(envelope_record())
    started = time.monotonic()
    assert not pipeline.shutdown(0.3)
    assert time.monotonic() - started < 1
    assert "1 records could not be delivered" in caplog.text


def test_compression_headers_and_timeout_of_the_environment(collector, make_pipeline, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20abc,x-team=shop")
    pipeline = make_pipeline()
    pipeline(envelope_record())
    assert pipeline.flush(10)
    (metadata, *_) = collector.metadata
    assert metadata["authorization"] == "Bearer abc"
    assert metadata["x-team"] == "shop"
    if collector.protocol != "grpc":  # gRPC's core hides the encoding from handlers
        assert metadata["content-encoding"] == "gzip"


@pytest.fixture
def held(collector):
    """The collector answers when this is set, and has been asked; in the end it does anyhow."""
    asked, answers = threading.Event(), threading.Event()

    def judge(_):
        asked.set()
        assert answers.wait(30)

    collector.judge = judge
    yield asked, answers
    answers.set()


def test_a_fork_waits_for_what_is_being_sent(collector, make_pipeline, held, monkeypatch):
    monkeypatch.setattr("otelope.export.pipeline.LONGEST_CALL", 20)
    asked, answers = held
    pipeline = make_pipeline()
    pipeline(envelope_record())
    assert asked.wait(20)
    assert collector.requests == []
    threading.Timer(0.1, answers.set).start()
    pipeline.before_fork()
    assert len(collector.requests) == 1
    pipeline.after_fork_in_parent()
    assert pipeline.flush(10)


def test_a_fork_does_not_wait_for_a_collector_in_trouble(collector, make_pipeline, held):
    asked, answers = held
    pipeline = make_pipeline()
    pipeline(envelope_record())
    assert asked.wait(20)
    pipeline.before_fork()
    assert collector.requests == []
    pipeline.after_fork_in_parent()
    answers.set()
    assert pipeline.flush(10)


@pytest.mark.slow
@pytest.mark.alone
def test_load_five_thousand_a_second_with_a_collector_that_takes_200_ms(collector, make_pipeline):
    collector.latency = 0.2
    pipeline = make_pipeline(export_interval=1.0)
    record = envelope_record()
    logging.getLogger("otelope")
    started = time.monotonic()
    sent = 0
    while (elapsed := time.monotonic() - started) < 20:
        while sent < elapsed * 5_000:
            pipeline(replace(record, span_id=sent + 1))
            sent += 1
        time.sleep(0.005)  # the pace of the load, not a wait for a result

    assert sent > 99_000
    assert pipeline.flush(30)
    assert pipeline.counters == (sent, sent, 0, 0)
    spans = {record.span_id for record in collector.named("otelope.envelope")}
    assert len(spans) == sent


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_endpoint_that_is_none_says_so_and_keeps_the_records(
    make_pipeline, monkeypatch, protocol
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://[::1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    pipeline = make_pipeline()
    pipeline(envelope_record())
    assert not pipeline.flush(0.5)
    assert pipeline.failure
    assert pipeline.counters == (1, 0, 0, 0)
