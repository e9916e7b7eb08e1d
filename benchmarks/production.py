"""
The production pipeline: records per second through the real collector into ClickHouse's engine.

And what it takes: bytes per envelope in the tables, and in the collector's queue while ClickHouse
is away. Programs of their own share this machine's cores: the senders (requests that are encoded
already), the collector with ``production.yaml``, whose queue is on disk with fsync, and the engine
behind its HTTP interface; then, for the same requests, `otelope up`.
"""

from __future__ import annotations

import os
import sys
import time

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc

from benchmarks.scratch import scratch
from benchmarks.shop import Exported, exported
from examples.running.ports import free_port
from examples.running.processes import Failed, Processes
from examples.running.servers import start_otelope
from otelope.store import open_store
from otelope.store.questions import health
from tests.e2e.pipeline.backend import Backend


_CHAINS = 10_000  # of ten envelopes, each with its delivery: 200,000 records
_SECONDS_AT_MOST = 120
_PAUSE = 0.02

_LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_SPANS = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

# In production Jaeger has them too; what they take here does not depend on it.
_SPANS_TO_CLICKHOUSE = "service: {pipelines: {traces: {exporters: [clickhouse]}}}\n"
# As the file has it; tests are more impatient.
_UNHURRIED = {
    "COLLECTOR_FLUSH": "1s",
    "COLLECTOR_RETRY_FIRST": "1s",
    "COLLECTOR_RETRY_AT_MOST": "30s",
}

_TABLES = ("otel_logs", "envelopes", "deliveries", "otel_traces")
_DISK = """
    SELECT table, sum(bytes_on_disk) FROM system.parts
    WHERE active AND database = currentDatabase() GROUP BY table
"""


def run() -> list[dict[str, Any]]:
    """Measure; one row of name, ratio, unit and goal per figure."""
    with scratch() as directory:
        backend = Backend(directory, f"http://127.0.0.1:{free_port()}")  # no spans go to Jaeger
        made = exported(_CHAINS)
        records = made.envelopes + made.deliveries
        embedded = _embedded(directory, made)
        with backend:
            acknowledged, visible = _production(backend, made)
            disk = _disk(backend)
            queue, queue_disk = _outage(backend, made)
    sys.stderr.write(
        f"production: {records:,} records, envelopes of {made.envelope_bytes:,.0f} bytes, "
        f"{made.span_count:,} spans; all acknowledged after {acknowledged:.1f} s, visible after "
        f"{visible:.1f} s, in `otelope up` after {embedded:.1f} s; load {os.getloadavg()[0]:.1f}\n"
    )
    each = made.envelopes
    spans = disk.pop("otel_traces") / made.span_count
    return [
        _row("production_records_per_s", records / visible, "records/s", ">= 14000"),
        _row("production_vs_embedded", embedded / visible, "of otelope up's"),
        _row("production_acknowledged_per_s", records / acknowledged, "records/s"),
        _row("disk_otel_logs", disk["otel_logs"] / each, "B/envelope"),
        _row("disk_envelopes", disk["envelopes"] / each, "B/envelope"),
        _row("disk_deliveries", disk["deliveries"] / each, "B/envelope"),
        _row("disk_all", sum(disk.values()) / each, "B/envelope"),
        _row("disk_otel_traces", spans, "B/span"),
        _row("queue_bytes", queue / each, "B/envelope"),
        _row("queue_disk", queue_disk / each, "B/envelope"),
    ]


def _row(name: str, value: float, unit: str, goal: str | None = None) -> dict[str, Any]:
    return {"name": name, "ratio": round(value, 2), "unit": unit, "goal": goal}


def _embedded(directory: Path, made: Exported) -> float:
    """The seconds until `otelope up` has committed all of it, which is when it acknowledges."""
    with Processes(directory) as processes:
        receiver = start_otelope(processes, directory).receiver
        seconds = _send(receiver, _LOGS, made.logs)
    with closing(open_store(str(directory / "data"))) as store:
        stored = health(store)
    found = stored["envelopes"]["rows"], stored["deliveries"]["rows"]
    assert found == _rows(made), f"otelope up has {found} rows"
    return seconds


def _production(backend: Backend, made: Exported) -> tuple[float, float]:
    """The seconds until all of it is in the collector's queue on disk, and in the tables."""
    spans = backend.directory / "spans.yaml"
    spans.write_text(_SPANS_TO_CLICKHOUSE, encoding="utf-8")
    backend.start_collector("production", str(spans), **_UNHURRIED)
    started = time.perf_counter()
    acknowledged = _send(backend.endpoint, _LOGS, made.logs)
    tables = "(SELECT count() FROM envelopes), (SELECT count() FROM deliveries)"
    _wait_for(backend, f"SELECT {tables}", _rows(made))
    visible = time.perf_counter() - started
    _send(backend.endpoint, _SPANS, made.spans)
    _wait_for(backend, "SELECT count() FROM otel_traces", (made.span_count,))
    return acknowledged, visible


def _rows(made: Exported) -> tuple[int, int]:
    """In envelopes and deliveries; a sender's record tells of its first sending as well."""
    return made.envelopes, made.envelopes + made.deliveries


def _wait_for(backend: Backend, counts: str, wanted: tuple[int, ...]) -> None:
    deadline = time.monotonic() + _SECONDS_AT_MOST
    while (found := tuple(map(int, backend.rows(counts)[0]))) != wanted:
        if time.monotonic() > deadline:
            raise Failed(f"{found} rows instead of {wanted} after {_SECONDS_AT_MOST} s: {counts}")
        backend.processes.pause(_PAUSE)


def _disk(backend: Backend) -> dict[str, int]:
    """The bytes of each table when it is one part."""
    for table in _TABLES:
        backend.rows(f"OPTIMIZE TABLE {table} FINAL")
    return {table: int(size) for table, size in backend.rows(_DISK)}


def _outage(backend: Backend, made: Exported) -> tuple[float, int]:
    """What the queue holds by its own count, and takes of the disk, while ClickHouse is away."""
    backend.server.kill()
    backend.processes.kill("collector")
    # One whose queue was never larger.
    backend.start_collector("production", name="outage", **_UNHURRIED)
    _send(backend.endpoint, _LOGS, made.logs)
    queue = Path(backend.variables("outage")["COLLECTOR_QUEUE_DIR"])
    disk = sum(path.stat().st_blocks * 512 for path in queue.iterdir())
    return backend.metrics("outage")["otelcol_exporter_queue_size"], disk


def _send(endpoint: str, method: str, requests: Mapping[str, list[bytes]]) -> float:
    """
    Every service sends one request after the other; the seconds until all are acknowledged.

    What was rejected in spite of that is missing when rows are counted.
    """
    channels = [grpc.insecure_channel(endpoint.removeprefix("http://")) for _ in requests]
    for channel in channels:
        grpc.channel_ready_future(channel).result(10)
    with ThreadPoolExecutor(len(channels)) as senders:
        started = time.perf_counter()
        done = [
            senders.submit(_send_in_turn, channel, method, own)
            for channel, own in zip(channels, requests.values(), strict=True)
        ]
        for each in done:
            each.result()
        seconds = time.perf_counter() - started
    for channel in channels:
        channel.close()
    return seconds


def _send_in_turn(channel: grpc.Channel, method: str, requests: list[bytes]) -> None:
    export = channel.unary_unary(method)
    for request in requests:
        export(request, timeout=_SECONDS_AT_MOST)


if __name__ == "__main__":
    for measured in run():
        print(measured)
