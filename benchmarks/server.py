"""
What the server half achieves: records committed per second, and the time to a whole tree.

The sender and the daemon are processes of their own and share this machine's cores. Run it alone:
``python benchmarks/server.py``.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otelope.model import semconv
from otelope.model.identity import identify, new_id
from otelope.store import open_store
from otelope.store.rowbinary import int64, mapping, string


_RECORDS_A_BATCH = 1500
_BATCHES = 120
_IN_FLIGHT = 4
_GOAL_RECORDS_PER_S = 14_000

_ENVELOPES = 1_000_000
_CHAIN = 8
_ENVELOPES_A_BLOCK = 40_000
_TREES_ASKED = 500
_GOAL_TREE_MS = 50

_TYPES = ("PlaceOrder", "OrderPlaced", "ChargeCard", "CardCharged",
          "ShipOrder", "OrderShipped", "SendInvoice", "InvoiceSent")  # fmt: skip
_PAYLOAD = {"lines": [{"sku": f"sku-{n}", "quantity": n, "price": 1.5 * n} for n in range(14)]}
_EPOCH_MS = 1_700_000_000_000


class Made(NamedTuple):
    """An envelope as its record says it."""

    id: str
    parent_id: str
    type: str
    timestamp_ms: int

    @property
    def source(self) -> str:
        """The service that made it."""
        return f"service-{len(self.type) % 5}"

    def attributes(self) -> dict[str, str]:
        """The attributes of its record."""
        return {
            semconv.ENVELOPE_ID: self.id,
            semconv.ENVELOPE_TYPE: self.type,
            semconv.ENVELOPE_PARENT_ID: self.parent_id,
            semconv.ENVELOPE_SOURCE_NAME: self.source,
            semconv.ENVELOPE_SOURCE_VERSION: "1.4.2",
            semconv.ENVELOPE_CHANNEL: f"{self.source}.topic",
            semconv.ENVELOPE_KIND: "event",
            semconv.RECORDED_BY: "sender",
        }

    def text(self) -> str:
        """The full envelope, about 1 KB of JSON."""
        return json.dumps(
            {
                "id": self.id,
                "timestamp": self.timestamp_ms,
                "source": {"name": self.source, "version": "1.4.2"},
                "parentId": self.parent_id or None,
                "type": self.type,
                "payload": _PAYLOAD,
            }
        )


def run() -> list[dict[str, Any]]:
    """Measure; one row of name, ratio, unit and goal per figure."""
    with tempfile.TemporaryDirectory() as data:
        per_second = _ingest(data)
    with tempfile.TemporaryDirectory() as data:
        fill = get_context("spawn").Process(target=_fill, args=(data,))
        fill.start()
        fill.join()
        milliseconds = _trees(data)
    return [
        _row("ingest_records_per_s", per_second, "records/s", f">= {_GOAL_RECORDS_PER_S}"),
        _row("tree_p95_ms", statistics.quantiles(milliseconds, n=20)[-1], "ms",
             f"<= {_GOAL_TREE_MS}"),
    ]  # fmt: skip


def _row(name: str, value: float, unit: str, goal: str) -> dict[str, Any]:
    return {"name": name, "ratio": round(value, 1), "unit": unit, "goal": goal}


@contextmanager
def _daemon(data: str) -> Iterator[tuple[int, int]]:
    """`otelope up` on free ports: gRPC's and HTTP's."""
    command = [sys.executable, "-m", "otelope", "up", "--data", data]
    command += ["--grpc-port", "0", "--http-port", "0"]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert daemon.stdout is not None
        ready = daemon.stdout.readline()
        grpc_port, http_port = (
            int(part.partition(",")[0].rpartition(":")[2])
            for part in ready.split("gRPC ")[1].split("HTTP ")
        )
        yield grpc_port, http_port
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def _ingest(data: str) -> float:
    before = _children_cpu()
    with _daemon(data) as (grpc_port, _):
        context = get_context("spawn")
        answer = context.SimpleQueue()
        sender = context.Process(target=_send, args=(grpc_port, answer))
        sender.start()
        seconds: float = answer.get()
        sender.join()
    records = _RECORDS_A_BATCH * _BATCHES
    # On a machine that is busy otherwise, this says more than the clock.
    cpu = (_children_cpu() - before) / records * 1e6
    sys.stderr.write(
        f"ingest: at most {cpu:.0f} µs of CPU a record, start-up, merges and the making of the "
        f"batches included; load {os.getloadavg()[0]:.1f}\n"
    )
    return records / seconds


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _send(port: int, answer: Any) -> None:
    batches = [_request(n) for n in range(_BATCHES)]
    sys.stderr.write(f"{_BATCHES} batches of {len(batches[0]) / 2**20:.1f} MiB\n")
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        grpc.channel_ready_future(channel).result(10)
        started = time.perf_counter()
        open_calls: list[Future[bytes]] = []
        for batch in batches:
            if len(open_calls) == _IN_FLIGHT:
                open_calls.pop(0).result()
            open_calls.append(export.future(batch))
        for call in open_calls:
            call.result()
        answer.put(time.perf_counter() - started)


def _request(number: int) -> bytes:
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    for key, value in ((semconv.SERVICE_NAME, "orders"), (semconv.SERVICE_VERSION, "1.4.2")):
        resource_logs.resource.attributes.add(key=key).value.string_value = value
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = semconv.SCOPE
    for made in _chains(number * _RECORDS_A_BATCH, _RECORDS_A_BATCH):
        who = identify(made.id)
        record = scope_logs.log_records.add(
            time_unix_nano=made.timestamp_ms * 1_000_000,
            trace_id=who.trace_id.to_bytes(16, "big"),
            span_id=who.span_id.to_bytes(8, "big"),
            flags=1,
            event_name=semconv.ENVELOPE_EVENT,
        )
        record.body.string_value = made.text()
        for key, value in made.attributes().items():
            record.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def _chains(start: int, count: int) -> Iterator[Made]:
    """Envelopes, each the cause of the next, `_CHAIN` of them in a row."""
    parent = ""
    for position in range(count):
        step = position % _CHAIN
        if step == 0:
            parent = ""
        made = Made(
            new_id(parent or None), parent, _TYPES[step], _EPOCH_MS + (start + position) * 7
        )
        parent = made.id
        yield made


def _fill(data: str) -> None:
    """A store of a million envelopes, each handled once; and some of their ids beside it."""
    sample: list[str] = []
    with open_store(data) as store:
        for start in range(0, _ENVELOPES, _ENVELOPES_A_BLOCK):
            envelopes = list(_chains(start, _ENVELOPES_A_BLOCK))
            rows = [part for made in envelopes for part in (_record(made), _delivery(made))]
            store.ingest("otel_logs", b"".join(rows), f"block {start}")
            sample += [made.id for made in random.sample(envelopes, 100)]
    (Path(data) / "sample.json").write_text(json.dumps(sample))


def _record(made: Made) -> bytes:
    return _log(made, made.text(), made.attributes(), semconv.ENVELOPE_EVENT)


def _delivery(made: Made) -> bytes:
    attributes = {
        semconv.ENVELOPE_ID: made.id,
        semconv.ENVELOPE_TYPE: made.type,
        semconv.ENVELOPE_CHANNEL: f"{made.source}.topic",
        semconv.DELIVERY_OUTCOME: "ok",
        semconv.DELIVERY_DURATION_MS: "3.5",
        semconv.DELIVERY_LAG_MS: "12.25",
    }
    return _log(made, "", attributes, semconv.DELIVERY_EVENT)


def _log(made: Made, body: str, attributes: dict[str, str], event: str) -> bytes:
    who = identify(made.id)
    span_id = who.span_id if event == semconv.ENVELOPE_EVENT else random.getrandbits(64)
    return b"".join(
        (
            int64(made.timestamp_ms * 1_000_000),
            string(f"{who.trace_id:032x}"),
            string(f"{span_id:016x}"),
            b"\1\0\0",  # flags, severity text and number
            string(made.source),
            string(body),
            b"\0",  # no schema
            mapping({semconv.SERVICE_NAME: made.source, semconv.SERVICE_VERSION: "1.4.2"}),
            b"\0\7otelope\0\0",  # the scope: schema, name, version, attributes
            mapping(attributes),
            string(event),
        )
    )


def _trees(data: str) -> list[float]:
    asked = random.sample(json.loads((Path(data) / "sample.json").read_text()), _TREES_ASKED)
    took = []
    with _daemon(data) as (_, http_port):
        connection = http.client.HTTPConnection("127.0.0.1", http_port)
        for position, envelope_id in enumerate(asked):
            started = time.perf_counter()
            connection.request("GET", f"/api/tree/{envelope_id}")
            answer = json.loads(connection.getresponse().read())
            if position:  # the first one opens files
                took.append((time.perf_counter() - started) * 1000)
            if answer["counts"] != {"envelopes": _CHAIN, "deliveries": _CHAIN, "failed": 0}:
                raise AssertionError(f"not the whole tree of {envelope_id}: {answer['counts']}")
        connection.close()
    sys.stderr.write(
        f"trees: median {statistics.median(took):.1f} ms, slowest {max(took):.1f} ms, "
        f"load {os.getloadavg()[0]:.1f}\n"
    )
    return took


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
