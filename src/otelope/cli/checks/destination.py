"""Where records, and spans of the fast lane, go from here, and whether a collector takes them."""

from __future__ import annotations

import os

from collections.abc import Mapping

from otelope.cli.checks.finding import Finding, warnings_of_otelope
from otelope.core.settings import Settings
from otelope.export.connecting import open_transport
from otelope.export.destination import Destination, destination
from otelope.export.signals import LOGS, TRACES
from otelope.export.transport import Refused, Unavailable


_PATIENCE = 3.0
_GRPC_PORT, _HTTP_PORT = ":4317", ":4318"


def look(environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Whether empty exports are taken, and one finding per variable that is not understood."""
    with warnings_of_otelope():  # which are for the section of the settings
        lane = Settings.from_environment(environ).lane
    signals = (LOGS, TRACES) if lane == "fast" else (LOGS,)
    with warnings_of_otelope() as complaints:
        try:
            found = [_try(destination(environ, signal)) for signal in signals]
        except ValueError as error:
            text = f"cannot be read: {error}"
            return [Finding("attention", "OTEL_EXPORTER_OTLP_ENDPOINT", text, "correct it")]
    found.extend(
        Finding("attention", "OTEL_EXPORTER_OTLP_*", each.rstrip("."), "correct it, or unset it")
        for each in dict.fromkeys(complaints)
    )
    return found


def _try(where: Destination) -> Finding:
    facts = {"endpoint": where.endpoint, "protocol": where.protocol}
    subject = f"{where.endpoint} ({where.protocol})"
    items = where.signal.items
    try:
        transport = open_transport(where._replace(timeout=min(where.timeout, _PATIENCE)))
        try:
            # An export request of nothing: every collector takes it, and stores nothing.
            transport.send(b"")
        finally:
            transport.close()
    except (Unavailable, Refused) as error:
        reason = " ".join(str(error).split())
        return Finding(
            "attention", subject, f"does not take {items}: {reason}", _advice(where), facts
        )
    return Finding("ok", subject, f"a collector takes {items}", facts=facts)


def _advice(where: Destination) -> str:
    if where.protocol == "grpc" and where.endpoint.endswith(_HTTP_PORT):
        return "4318 is the port for HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or 4317"
    if where.protocol != "grpc" and _GRPC_PORT in where.endpoint:
        return "4317 is the port for gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or 4318"
    return "start a collector there (`otelope up`), or set OTEL_EXPORTER_OTLP_ENDPOINT"
