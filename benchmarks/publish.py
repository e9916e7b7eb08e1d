"""
What a confluent-kafka publish costs in all, beside OpenTelemetry's own instrumentation of it.

CPU time of the whole process, its exporter threads included, for messages sent to librdkafka's
mock cluster in another process, spans and records exported to a sink in another process. Contrib
exports a span; otelope a span and the full envelope.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


MESSAGES = 4000
RUNS = 5

_CHILD = """
import json, os, sys, time
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
variant, brokers, messages = sys.argv[1], sys.argv[2], int(sys.argv[3])
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=2 * messages))
trace.set_tracer_provider(provider)
if variant == "otelope":
    import otelope
    otelope.instrument()
import confluent_kafka
if variant == "contrib":
    from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
    ConfluentKafkaInstrumentor().instrument()
from benchmarks.application import body
bodies = [body() for _ in range(messages + 200)]
producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "queue.buffering.max.ms": 50})
def send(values):
    for number, value in enumerate(values):
        producer.produce("bench", value, headers=[("tenant", b"acme")])
        if number % 100 == 0:
            producer.poll(0)
    producer.flush()
send(bodies[:200])
provider.force_flush()
started = time.process_time()
send(bodies[200:])
provider.force_flush()
if variant == "otelope":
    otelope.uninstrument()
print(json.dumps((time.process_time() - started) / messages * 1e6))
"""


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


def run() -> list[dict[str, Any]]:
    """CPU µs that a publish costs more than without any instrumentation, and their ratio."""
    import confluent_kafka  # noqa: PLC0415 - the mock cluster, in this process

    mock = confluent_kafka.Producer({"test.mock.num.brokers": 1})
    brokers = ",".join(f"{b.host}:{b.port}" for b in mock.list_topics().brokers.values())
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_SERVICE_NAME": "bench",
    }
    costs: dict[str, list[float]] = {"plain": [], "contrib": [], "otelope": []}
    for _ in range(RUNS):
        for variant, measured in costs.items():
            command = [sys.executable, "-c", _CHILD, variant, brokers, str(MESSAGES)]
            done = subprocess.run(
                command, check=True, stdout=subprocess.PIPE, text=True, env=environment
            )
            measured.append(json.loads(done.stdout.splitlines()[-1]))
    server.shutdown()
    plain = statistics.median(costs["plain"])
    contrib = statistics.median(costs["contrib"]) - plain
    otelope = statistics.median(costs["otelope"]) - plain
    return [
        {
            "name": "publish_vs_contrib",
            "ratio": round(otelope / contrib, 2),
            "unit": "of contrib's",
            "goal": 1.0,
        },
        {"name": "publish_otelope_us", "ratio": round(otelope, 1), "unit": "µs", "goal": None},
        {"name": "publish_contrib_us", "ratio": round(contrib, 1), "unit": "µs", "goal": None},
    ]
