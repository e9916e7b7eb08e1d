"""A store with something for every question, and all answers that a store can give."""

from __future__ import annotations

import json

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otelope.collector.otlp import Rows, log_rows, span_rows
from otelope.model import semconv
from otelope.model.identity import new_id
from otelope.store import Store, questions
from otelope.store.contracts import contracts
from tests.cli import story
from tests.store.made import EPOCH_MS, delivery_record, envelope_record, process_record, request


_DERIVED = ("envelopes", "deliveries", "processes", "interactions", "contracts")
_MOST = 10_000
_TREES = 50


def tell(store: Store, number: int) -> None:
    """Store a story, number by number another: several trees, and more blocks than one."""
    hours = number * 3_600_000
    root, other = new_id(), f"order-{number}-ü"
    child, grandchild = new_id(root), new_id()
    stuck = delivery_record(
        other, at=hours, span=5, **{semconv.DELIVERY_OPERATION: "outbox"}
    )  # fmt: skip
    contract = {
        semconv.CONTRACT_DECLARED: json.dumps(["orderId"]),
        semconv.CONTRACT_LEFT: json.dumps(["email", "orderId"]),
    }
    _keep(store, log_rows(request(
        envelope_record(root, at=hours, recorded_by="maker", type="PlaceOrder"),
        envelope_record(root, at=hours, type="PlaceOrder", **contract),
        envelope_record(child, root, at=hours + 5, note="it's\ta \\ & ü"),
        envelope_record(other, at=hours + 7, recorded_by="maker"),
        stuck,
        **{semconv.PROCESS_PID: str(number)},
    )))  # fmt: skip
    # What a retry brings a second time, and what is late.
    again = log_rows(request(
        envelope_record(grandchild, child, at=hours + 9, type="PaymentDeclined"),
        delivery_record(child, at=hours + 8, span=number + 1, outcome="error"),
        delivery_record(child, at=hours + 9, span=number + 2),
        process_record(at=hours, counters={"seen": number}),
        LogRecord(event_name="an.event", time_unix_nano=(EPOCH_MS - hours) * 1_000_000),
    ))  # fmt: skip
    _keep(store, again)
    _keep(store, again)
    _keep(store, log_rows(request(envelope_record(new_id(child), child, at=-hours))))
    told = story.export_request(story.walk(story.order()))
    _keep(store, log_rows(ExportLogsServiceRequest.FromString(told)))
    _keep(store, log_rows(request(delivery_record(root))))
    _keep(store, span_rows(spans(number)))
    _keep(store, span_rows(spans(number // 2)))


def answers(store: Store) -> dict[str, Any]:
    """Everything that can be asked, and how many rows there are once all is merged."""
    for table in _DERIVED:
        store._engine.run(f"OPTIMIZE TABLE otelope.{table} FINAL")
    store.hold_back_ms = 0
    found = questions.find(store, limit=_MOST)
    page = questions.tail(store, last=_MOST, limit=_MOST)
    return {
        "find": found,
        "filters": [
            questions.find(store, failed=True),
            questions.find(store, stuck=True),
            questions.find(store, text="it's\\ta"),
            questions.find(store, channel="orders.events", since=EPOCH_MS + 1, limit=3),
        ],
        "trees": [questions.tree(store, each["id"]) for each in found[:_TREES]],
        "prefix": questions.tree(store, "order-"),
        # In which order, and when, is told by the store alone.
        "tail": sorted(json.dumps(each, sort_keys=True) for each in page.items),
        "contracts": contracts(store),
        "interactions": questions.interactions(store),
        "processes": questions.processes(store),
        "spans": {
            row[0]: questions.spans(store, row[0])
            for row in _rows(store, "SELECT DISTINCT TraceId FROM otel_traces ORDER BY TraceId")
        },
        "logs": _rows(
            store,
            "SELECT * EXCEPT (Body), cityHash64(Body) FROM otel_logs ORDER BY cityHash64(*)",
        ),
        "all spans": _rows(store, "SELECT * FROM otel_traces ORDER BY cityHash64(*)"),
        "rows": {name: each["rows"] for name, each in questions.health(store).items()},
    }


def _rows(store: Store, statement: str) -> list[list[Any]]:
    return [json.loads(line) for line in store._engine.read(statement, {}).splitlines()]


def _keep(store: Store, rows: Rows) -> None:
    # A token of its own for each, as requests that come in different company have.
    store.ingest(rows.table, rows.data, new_id())


def spans(number: int) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    resource_spans = made.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = "web"
    for each in range(5):
        span = resource_spans.scope_spans.add().spans.add(
            trace_id=bytes([number * 7 % 5 + 1]) * 16,
            span_id=bytes([number + 1, each]) * 4,
            name="send orders",
            start_time_unix_nano=(EPOCH_MS + number) * 1_000_000 + each % 2,
            end_time_unix_nano=(EPOCH_MS + number) * 1_000_000 + 7,
        )
        span.links.add(trace_id=b"\x04" * 16, span_id=b"\x05" * 8, trace_state="s=t")
        span.events.add(name="exception").attributes.add(key="e").value.string_value = "ü"
        span.attributes.add(key="n").value.int_value = each
    return made
