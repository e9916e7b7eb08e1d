"""OTLP requests as rows of the store's tables. Pure."""

from __future__ import annotations

from typing import NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otelope.collector.values import attribute_map, text
from otelope.model import semconv
from otelope.store.rowbinary import array, int64, string, uint64


_LAST_NANOSECOND = (1 << 63) - 1
_MAX_BYTE = 255
# The exporter writes the names of Go's pdata, not those of the protocol.
_SPAN_KINDS = tuple(
    string(name)
    for name in ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
)
_STATUS_CODES = tuple(string(name) for name in ("Unset", "Ok", "Error"))


class Rows(NamedTuple):
    """
    Rows of one table.

    Args:
        table: The table's name.
        size: How many.
        data: In the format RowBinary, in the order of the table's insert statement.
    """

    table: str
    size: int
    data: bytes


def log_rows(request: ExportLogsServiceRequest) -> Rows:
    """The log records of a request as rows of ``otel_logs``."""
    rows: list[bytes] = []
    for resource_logs in request.resource_logs:
        service = string(_service(resource_logs.resource))
        resource = string(resource_logs.schema_url) + attribute_map(
            resource_logs.resource.attributes
        )
        for scope_logs in resource_logs.scope_logs:
            scope = scope_logs.scope
            origin = b"".join(
                (
                    resource,
                    string(scope_logs.schema_url),
                    _scope(scope),
                    attribute_map(scope.attributes),
                )
            )
            rows.extend([_log_row(record, service, origin) for record in scope_logs.log_records])
    return Rows("otel_logs", len(rows), b"".join(rows))


def span_rows(request: ExportTraceServiceRequest) -> Rows:
    """The spans of a request as rows of ``otel_traces``."""
    rows: list[bytes] = []
    for resource_spans in request.resource_spans:
        service = string(_service(resource_spans.resource))
        resource = attribute_map(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            origin = resource + _scope(scope_spans.scope)
            rows.extend([_span_row(span, service, origin) for span in scope_spans.spans])
    return Rows("otel_traces", len(rows), b"".join(rows))


def _log_row(record: LogRecord, service: bytes, origin: bytes) -> bytes:
    severity = record.severity_number
    return b"".join(
        (
            _time(record.time_unix_nano or record.observed_time_unix_nano),
            string(record.trace_id.hex()),
            string(record.span_id.hex()),
            bytes((record.flags & _MAX_BYTE,)),
            string(record.severity_text),
            bytes((severity if 0 <= severity <= _MAX_BYTE else 0,)),
            service,
            string(text(record.body)),
            origin,
            attribute_map(record.attributes),
            string(record.event_name),
        )
    )


def _span_row(span: Span, service: bytes, origin: bytes) -> bytes:
    started = span.start_time_unix_nano
    events = span.events
    links = span.links
    return b"".join(
        (
            _time(started),
            string(span.trace_id.hex()),
            string(span.span_id.hex()),
            string(span.parent_span_id.hex()),
            string(span.trace_state),
            string(span.name),
            _name(_SPAN_KINDS, span.kind),
            service,
            origin,
            attribute_map(span.attributes),
            uint64(max(0, span.end_time_unix_nano - started)),
            _status(span.status),
            array([_time(event.time_unix_nano) for event in events]),
            array([string(event.name) for event in events]),
            array([attribute_map(event.attributes) for event in events]),
            array([string(link.trace_id.hex()) for link in links]),
            array([string(link.span_id.hex()) for link in links]),
            array([string(link.trace_state) for link in links]),
            array([attribute_map(link.attributes) for link in links]),
        )
    )


def _time(nanoseconds: int) -> bytes:
    return int64(min(nanoseconds, _LAST_NANOSECOND))


def _scope(scope: InstrumentationScope) -> bytes:
    return string(scope.name) + string(scope.version)


def _status(status: Status) -> bytes:
    return _name(_STATUS_CODES, status.code) + string(status.message)


def _name(names: tuple[bytes, ...], number: int) -> bytes:
    # Enumerations are open: a sender may know numbers that we do not.
    return names[number] if 0 <= number < len(names) else names[0]


def _service(resource: Resource) -> str:
    for pair in resource.attributes:
        if pair.key == semconv.SERVICE_NAME:
            return text(pair.value)
    return ""
