"""Records as instrumented programs send them, and their way into a store."""

from __future__ import annotations

import json

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otelope.collector.otlp import log_rows
from otelope.export.record import process_record as written
from otelope.model import semconv
from otelope.model.identity import identify
from otelope.store import Server, Store, schema, statements
from otelope.store.layout import Layout
from otelope.store.remote import RemoteEngine
from otelope.store.rowbinary import string


EPOCH_MS = 1_750_000_000_000


def envelope_record(
    envelope_id: str,
    parent_id: str = "",
    *,
    type: str = "OrderPlaced",  # noqa: A002 - the envelope's word
    at: int = 0,
    source: str = "orders",
    channel: str = "orders.events",
    recorded_by: str = "sender",
    trace_id: int | None = None,
    **more,
) -> LogRecord:
    """An envelope's record, ``at`` milliseconds after the epoch of these tests."""
    who = identify(envelope_id)
    record = LogRecord(
        event_name=semconv.ENVELOPE_EVENT,
        time_unix_nano=(EPOCH_MS + at) * 1_000_000,
        trace_id=(trace_id or who.trace_id).to_bytes(16, "big"),
        span_id=who.span_id.to_bytes(8, "big"),
        flags=1,
    )
    body = {"id": envelope_id, "parentId": parent_id or None, "type": type, "payload": more}
    record.body.string_value = json.dumps(body)
    attributes = {
        semconv.ENVELOPE_ID: envelope_id,
        semconv.ENVELOPE_TYPE: type,
        semconv.ENVELOPE_PARENT_ID: parent_id,
        semconv.ENVELOPE_SOURCE_NAME: source,
        semconv.ENVELOPE_SOURCE_VERSION: "1.0",
        semconv.ENVELOPE_CHANNEL: channel,
        semconv.ENVELOPE_KIND: "event",
        semconv.ENVELOPE_KIND_INFERRED: True,
        semconv.RECORDED_BY: recorded_by,
    }
    return _with_attributes(record, attributes | more)


def delivery_record(
    envelope_id: str, *, span: int = 1, at: int = 0, outcome: str = "ok", **more
) -> LogRecord:
    """A delivery's record."""
    record = LogRecord(
        event_name=semconv.DELIVERY_EVENT,
        time_unix_nano=(EPOCH_MS + at) * 1_000_000,
        trace_id=identify(envelope_id).trace_id.to_bytes(16, "big"),
        span_id=span.to_bytes(8, "big"),
    )
    attributes = {
        semconv.ENVELOPE_ID: envelope_id,
        semconv.ENVELOPE_TYPE: "OrderPlaced",
        semconv.ENVELOPE_CHANNEL: "orders.events",
        semconv.DELIVERY_OUTCOME: outcome,
        semconv.DELIVERY_DURATION_MS: 3.5,
        semconv.DELIVERY_LAG_MS: 12.25,
    }
    return _with_attributes(record, attributes | more)


def process_record(*, at: int = 0, pid: int = 4711, **status) -> LogRecord:
    """What a process says of itself, as the process itself would write it."""
    return LogRecord.FromString(written(status, (EPOCH_MS + at) * 1_000_000, pid))


def request(*records: LogRecord, service: str = "payments", **more) -> ExportLogsServiceRequest:
    """A request with these records, from one service."""
    made = ExportLogsServiceRequest()
    resource_logs = made.resource_logs.add()
    attributes = {semconv.SERVICE_NAME: service, semconv.SERVICE_VERSION: "2.1"} | more
    for key, value in attributes.items():
        resource_logs.resource.attributes.add(key=key).value.string_value = value
    resource_logs.scope_logs.add(log_records=records).scope.name = semconv.SCOPE
    return made


def keep(store: Store, *records: LogRecord, token: str = "", **more) -> None:
    """Store these records in one block."""
    rows = log_rows(request(*records, **more))
    store.ingest(rows.table, rows.data, token)


def keep_unnamed(store: Store, *records: LogRecord, scope: str = semconv.SCOPE) -> None:
    """Store these records as who does not know the column ``EventName``."""
    rows = []
    for each in records:
        made = request(each)
        made.resource_logs[0].scope_logs[0].scope.name = scope
        rows.append(log_rows(made).data.removesuffix(string(each.event_name)))
    insert = statements.insert("otel_logs").replace(", EventName", "")
    assert "EventName" not in insert
    store._engine.write(insert, b"".join(rows), {})


def make_tables(server: Server, **layout) -> None:
    """What `otelope schema apply` does."""
    engine = RemoteEngine(server)
    try:
        for _ in schema.apply(engine, Layout(engine.database, **layout)):
            pass
    finally:
        engine.close()


def _with_attributes(record: LogRecord, attributes: dict[str, object]) -> LogRecord:
    for key, value in attributes.items():
        target = record.attributes.add(key=key).value
        if isinstance(value, bool):
            target.bool_value = value
        elif isinstance(value, int):
            target.int_value = value
        elif isinstance(value, float):
            target.double_value = value
        elif value:
            target.string_value = str(value)
    return record
