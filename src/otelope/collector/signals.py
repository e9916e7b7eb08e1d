"""The three OTLP signals: how a request is read, and what rows it makes."""

from __future__ import annotations

import base64
import binascii
import json

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from otelope.collector.otlp import Rows, log_rows, span_rows


# OTLP/JSON writes these in hexadecimal, where protobuf's JSON form has base64.
_HEX_FIELDS = frozenset(("traceId", "spanId", "parentSpanId", "trace_id", "span_id"))


class MalformedError(ValueError):
    """A request that no retry will make readable."""


class Signal(NamedTuple):
    """
    One of OTLP's signals.

    Args:
        service: The gRPC service, whose one method is ``Export``.
        request, response: Its messages.
        rows: What is stored of a request. Pure.
    """

    service: str
    request: type[Message]
    response: type[Message]
    rows: Callable[[Any], Rows]

    def from_protobuf(self, body: bytes) -> Rows:
        """
        The rows of a request in protobuf.

        Raises:
            MalformedError: It is none.
        """
        try:
            request = self.request.FromString(body)
        except DecodeError as error:
            raise MalformedError(f"not an {self.request.DESCRIPTOR.name}: {error}") from None
        return self.rows(request)

    def from_json(self, body: bytes) -> Rows:
        """
        The rows of a request in OTLP's JSON form.

        Raises:
            MalformedError: It is none.
        """
        try:
            parsed = json.loads(body)
            if not isinstance(parsed, dict):
                raise MalformedError("not a JSON object")
            _hex_to_base64(parsed)
            request = json_format.ParseDict(parsed, self.request(), ignore_unknown_fields=True)
        except (ValueError, RecursionError, json_format.ParseError) as error:
            raise MalformedError(f"not an {self.request.DESCRIPTOR.name}: {error}") from None
        return self.rows(request)


def _discarded(_: Message) -> Rows:
    return Rows("", 0, b"")


SIGNALS = {
    "logs": Signal(
        "opentelemetry.proto.collector.logs.v1.LogsService",
        logs.ExportLogsServiceRequest,
        logs.ExportLogsServiceResponse,
        log_rows,
    ),
    "traces": Signal(
        "opentelemetry.proto.collector.trace.v1.TraceService",
        traces.ExportTraceServiceRequest,
        traces.ExportTraceServiceResponse,
        span_rows,
    ),
    # Accepted, so that an SDK with default settings does not complain, and not kept.
    "metrics": Signal(
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
        metrics.ExportMetricsServiceRequest,
        metrics.ExportMetricsServiceResponse,
        _discarded,
    ),
}


def _hex_to_base64(parsed: object) -> None:
    pending = [parsed]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for key, item in value.items():
                if key in _HEX_FIELDS and isinstance(item, str):
                    value[key] = _base64(item)
                else:
                    pending.append(item)
        elif isinstance(value, list):
            pending.extend(value)


def _base64(digits: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(digits)).decode()
    except ValueError:
        raise MalformedError(f"{digits[:40]!r} is no id in hexadecimal") from None
