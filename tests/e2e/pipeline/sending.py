"""Records and spans, sent over OTLP as a program would."""

from __future__ import annotations

import grpc

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


def send(endpoint: str, told: ExportLogsServiceRequest) -> None:
    """Export records to an endpoint, gRPC; returns when they are acknowledged, all of them."""
    with grpc.insecure_channel(endpoint.removeprefix("http://")) as channel:
        export = channel.unary_unary(
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            request_serializer=ExportLogsServiceRequest.SerializeToString,
            response_deserializer=ExportLogsServiceResponse.FromString,
        )
        assert not export(told, timeout=30).partial_success.rejected_log_records


def send_spans(endpoint: str, told: ExportTraceServiceRequest) -> None:
    """As `send`, spans."""
    with grpc.insecure_channel(endpoint.removeprefix("http://")) as channel:
        export = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            request_serializer=ExportTraceServiceRequest.SerializeToString,
            response_deserializer=ExportTraceServiceResponse.FromString,
        )
        assert not export(told, timeout=30).partial_success.rejected_spans


def count(told: ExportLogsServiceRequest) -> int:
    """How many records there are."""
    scopes = (scope for resource in told.resource_logs for scope in resource.scope_logs)
    return sum(len(scope.log_records) for scope in scopes)
