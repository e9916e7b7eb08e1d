"""What it costs to queue, encode and deliver a record or a span, beside the SDK's exporters."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

from benchmarks.application import body
from otelope.codecs import Codecs
from otelope.core.attributes import attributes_of
from otelope.core.carriers import PAIRS
from otelope.core.fast_lane import FastTracing
from otelope.core.message import Message
from otelope.core.placement import Placement, Spot
from otelope.core.records import EnvelopeRecord, Record
from otelope.core.settings import Settings
from otelope.core.spans import OwnSpan
from otelope.export.job import Item
from otelope.export.pipeline import Pipeline
from otelope.export.transport import Transport
from otelope.model import semconv
from otelope.model.envelope import Envelope
from otelope.model.identity import identify


ROUNDS = 9
RECORDS = 4_000
QUEUED = 20_000

RESOURCE = {
    "service.name": "orders",
    "service.version": "1.0",
    "service.instance.id": "627cc493-f310-47de-96bd-71410b7dec09",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.45.1",
}

CODECS = Codecs({}, Settings().max_body_bytes)

_COLLECTOR = """
import grpc
from concurrent.futures import ThreadPoolExecutor
class Accept(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Accept(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
"""


class Sink:
    """A transport without a network: what is measured is ours."""

    def send(self, request: bytes) -> int:  # noqa: ARG002 - as the protocol has it
        return 0

    def close(self) -> None: ...


@contextmanager
def collector() -> Iterator[None]:
    """A collector in another process that accepts everything; the environment points to it."""
    command = [sys.executable, "-c", _COLLECTOR]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        try:
            with patch.dict(
                os.environ,
                OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
                OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            ):
                yield
        finally:
            process.kill()


def envelope() -> Envelope:
    """An envelope of 1 KB as a codec recognises it."""
    found = CODECS.recognise(Message("orders", body()), PAIRS)
    assert found is not None
    return found


def record() -> EnvelopeRecord:
    """What the instrumenter records of it; every value as fresh as there."""
    made = envelope()
    identity = identify(made.id)
    return EnvelopeRecord(
        made,
        time.time_ns(),
        identity.trace_id,
        identity.span_id,
        1,
        "orders",
        recorded_by="sender",
        cause_span_id=identity.span_id ^ 1,
        parent_type="PlaceOrder",
        parent_source="web",
        parent_timestamp=time.time() * 1000 - 250,
    )


def bare_span() -> float:
    """S: start and end of a bare SDK span, in µs of CPU."""
    tracer = TracerProvider().get_tracer("bare")

    def spans() -> float:
        started = time.thread_time_ns()
        for _ in range(RECORDS):
            tracer.start_span("bare").end()
        return (time.thread_time_ns() - started) / RECORDS / 1000

    return statistics.median(spans() for _ in range(ROUNDS))


def tracing() -> FastTracing:
    """What makes spans of the fast lane; they go nowhere when they end."""
    provider = TracerProvider(resource=Resource(RESOURCE))
    return FastTracing(provider, lambda _: None)


def span(lane: FastTracing) -> OwnSpan:
    """The span of a send, as fresh as `record`, below another."""
    made = envelope()
    own = identify(made.id)
    started = lane.start(
        "send orders",
        SpanKind.PRODUCER,
        attributes_of(Message("orders", b""), made, "kafka", "send", lambda _: ("event", True)),
        Placement(Spot(own.trace_id, own.span_id ^ 1), span_id=own.span_id),
        context=Context(),
        contexts=(),
        started_ns=time.time_ns(),
    )
    if not isinstance(started, OwnSpan):
        raise TypeError("it is not sampled")
    started.end()
    return started


SETTINGS = Settings(export_interval=600, queue_bytes=1 << 30)


def pipeline(connect: Callable[[], Transport] | None = None) -> Pipeline[Record]:
    """A pipeline that exports when it is flushed, or a batch is full."""
    settings = SETTINGS
    return Pipeline.of_records(
        settings, lambda: RESOURCE, lambda _: ("event", True), dict, connect=connect
    )


def exported(lane: Pipeline[Item], make: Callable[[], Item]) -> tuple[float, float]:
    """CPU in µs per item: of the threads that encode and deliver, and of the one that puts it."""
    lane(make())
    if not lane.flush(10):
        raise RuntimeError(f"nothing could be exported: {lane.failure}")
    exporting, recording = [], []
    for _ in range(ROUNDS):
        items = [make() for _ in range(RECORDS)]
        process, thread = time.process_time_ns(), time.thread_time_ns()
        for made in items:
            lane(made)
        put = time.thread_time_ns() - thread
        if not lane.flush(30):
            raise RuntimeError(f"items were lost: {lane.counters}")
        own = time.thread_time_ns() - thread
        exporting.append((time.process_time_ns() - process - own) / RECORDS / 1000)
        recording.append(put / RECORDS / 1000)
    lane.shutdown(5)
    return statistics.median(exporting), statistics.median(recording)


def spans_pipeline(connect: Callable[[], Transport] | None = None) -> Pipeline[OwnSpan]:
    """As `pipeline`, for spans."""
    return Pipeline.of_spans(SETTINGS, lambda: RESOURCE, connect=connect)


def exported_spans_by_sdk() -> float:
    """CPU in µs per span of the SDK's batch processor and gRPC exporter, its end not counted."""
    provider = TracerProvider(resource=Resource(RESOURCE), shutdown_on_exit=False)
    processor = BatchSpanProcessor(
        OTLPSpanExporter(), schedule_delay_millis=600_000, max_queue_size=2 * RECORDS
    )
    provider.add_span_processor(processor)
    tracer = provider.get_tracer(semconv.SCOPE)
    lane, rounds = tracing(), []
    for _ in range(ROUNDS):
        prepared = [dict(span(lane).attributes) for _ in range(512)]
        process, thread = time.process_time_ns(), time.thread_time_ns()
        for attributes in prepared:
            tracer.start_span("send orders", None, SpanKind.PRODUCER, attributes).end()
        ended = time.thread_time_ns() - thread
        provider.force_flush()
        rounds.append((time.process_time_ns() - process - ended) / len(prepared) / 1000)
    provider.shutdown()
    return statistics.median(rounds)


def exported_by_sdk(form: Callable[[Envelope], Any]) -> float:
    """CPU in µs per record of the SDK's batch processor and gRPC exporter, emit not counted."""
    provider = LoggerProvider(Resource(RESOURCE), shutdown_on_exit=False)
    processor = BatchLogRecordProcessor(
        OTLPLogExporter(), schedule_delay_millis=600_000, max_queue_size=2 * RECORDS
    )
    provider.add_log_record_processor(processor)
    logger = provider.get_logger(semconv.SCOPE)
    rounds = []
    for _ in range(ROUNDS):
        prepared = [(made, form(made)) for made in (envelope() for _ in range(512))]
        process, thread = time.process_time_ns(), time.thread_time_ns()
        for made, content in prepared:
            logger.emit(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.INFO,
                body=content,
                event_name=semconv.ENVELOPE_EVENT,
                attributes={
                    semconv.ENVELOPE_ID: made.id,
                    semconv.ENVELOPE_TYPE: made.type,
                    semconv.ENVELOPE_SOURCE_NAME: made.source.name,
                    semconv.ENVELOPE_SOURCE_VERSION: made.source.version,
                    semconv.ENVELOPE_CHANNEL: "orders",
                    semconv.RECORDED_BY: "sender",
                },
            )
        emitted = time.thread_time_ns() - thread
        provider.force_flush()
        rounds.append((time.process_time_ns() - process - emitted) / len(prepared) / 1000)
    provider.shutdown()
    return statistics.median(rounds)


def queued_kilobytes() -> float:
    """Memory per record that waits, of envelopes of 1 KB, everything it holds included."""
    lane = pipeline(Sink)
    records = [record() for _ in range(RECORDS)]  # warm caches
    del records
    gc.collect()
    tracemalloc.start()
    for _ in range(QUEUED):
        lane._exporter.queue._items.append(record())  # noqa: SLF001 - at rest, not exported
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / QUEUED / 1024


def run() -> list[dict[str, Any]]:
    """The goals of the export lane, as rows of the benchmark table."""
    # S between the others: a busy machine slows both alike.
    spans = [bare_span()]
    make_span = partial(span, tracing())
    encoding, putting = exported(pipeline(Sink), record)
    encoding_spans, putting_spans = exported(spans_pipeline(Sink), make_span)
    spans.append(bare_span())
    with collector():
        delivering, _ = exported(pipeline(), record)
        delivering_spans, _ = exported(spans_pipeline(), make_span)
        sdk_spans = exported_spans_by_sdk()
        spans.append(bare_span())
        sdk_dict = exported_by_sdk(lambda made: json.loads(made.text or b""))
        sdk_text = exported_by_sdk(lambda made: (made.text or b"").decode())

    bare = statistics.median(spans)

    def row(name: str, cost: float, goal: float | None = None) -> dict[str, Any]:
        return {"name": name, "ratio": round(cost / bare, 3), "unit": "S", "goal": goal}

    return [
        row("export_record", delivering, 0.6),
        row("export_record_no_network", encoding),
        row("export_record_put", putting),
        row("export_record_sdk_dict", sdk_dict),
        row("export_record_sdk_text", sdk_text),
        row("export_span", delivering_spans),
        row("export_span_no_network", encoding_spans),
        row("export_span_put", putting_spans),
        row("export_span_sdk", sdk_spans),
        {
            "name": "queued_kb",
            "ratio": round(queued_kilobytes(), 3),
            "unit": "KB",
            "goal": 2.5,
        },
    ]


if __name__ == "__main__":
    for measured in run():
        print(measured)
