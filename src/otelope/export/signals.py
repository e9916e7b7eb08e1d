"""The signals of OTLP that this lane exports: records as logs, and in the fast lane spans."""

from __future__ import annotations

from typing import NamedTuple


class Signal(NamedTuple):
    """
    What distinguishes one signal from another; their requests are built alike.

    Args:
        item: What it is made of, for messages to people.
        variable: What variables of its own begin with, behind ``OTEL_EXPORTER_OTLP_``.
        path: Of its HTTP endpoint.
        method: Of its gRPC service.
    """

    item: str
    variable: str
    path: str
    method: str

    @property
    def items(self) -> str:
        """Several of them."""
        return f"{self.item}s"


LOGS = Signal(
    "record", "LOGS", "/v1/logs", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
)
TRACES = Signal(
    "span", "TRACES", "/v1/traces", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
)
