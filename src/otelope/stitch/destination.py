"""Where stitched traces are sent: an OTLP endpoint, by OpenTelemetry's own exporters."""

from __future__ import annotations

import logging
import os
import socket

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


ENDPOINT_VARIABLE = "OTELOPE_STITCH_ENDPOINT"
DEFAULT_ENDPOINT = "http://127.0.0.1:4317"

_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_TRACES_PATH = "/v1/traces"
# About 0.7 KB each: well below the 4 MiB that a gRPC server takes at once.
_SPANS_AT_ONCE = 1000
_CONNECT_SECONDS = 5.0


class CannotSendError(Exception):
    """Nobody takes the spans; the message says where and why."""


class Destination:
    """
    An OTLP endpoint for spans.

    What is not said here, such as headers, certificates and timeouts, the exporters read from
    OpenTelemetry's own variables.

    Args:
        url: ``http[s]://host:port``; by default ``OTELOPE_STITCH_ENDPOINT``, else
            ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``, else ``OTEL_EXPORTER_OTLP_ENDPOINT``, else
            `DEFAULT_ENDPOINT`.
        environ: The environment.

    Raises:
        CannotSendError: That is no address, or the protocol is unknown.
    """

    def __init__(self, url: str | None = None, environ: Mapping[str, str] = os.environ) -> None:
        self.where, complete = _endpoint(url, environ)
        protocol = next((said for name in _PROTOCOLS if (said := environ.get(name))), "grpc")
        if not _is_address(self.where):
            raise CannotSendError(
                f"{self.where!r} is no address of an OTLP endpoint: write {DEFAULT_ENDPOINT}"
            )
        self._reason = _Reason()
        self._exporter = _exporter(protocol, self.where, complete=complete)

    def send(self, spans: Iterable[ReadableSpan]) -> int:
        """
        Send spans, and return how many there were when all are taken.

        Raises:
            CannotSendError: Some are not; to send all of them again does no harm.
        """
        count = 0
        for some in _portions(spans):
            try:
                taken = self._exporter.export(some)
            except ValueError:  # gRPC's, when `close` comes between its look and its call
                taken = SpanExportResult.FAILURE
            if taken is not SpanExportResult.SUCCESS:
                why = _unreachable(self.where) or self._reason.text or "sending was given up"
                raise CannotSendError(f"no spans are taken at {self.where}: {why}")
            count += len(some)
        return count

    def close(self) -> None:
        """Give up what is being sent, and close the connection."""
        self._exporter.shutdown()


class _Reason(logging.Handler):
    """
    Keeps what the exporters log last: it is all that they tell of a failure.

    Nobody else hears it: they log it with every failure, whoever sends says it once.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        logger = logging.getLogger("opentelemetry.exporter")
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def _endpoint(url: str | None, environ: Mapping[str, str]) -> tuple[str, bool]:
    """The endpoint, and whether it has its path already, as the variable for traces has."""
    chosen = url or environ.get(ENDPOINT_VARIABLE, "").strip()
    if not chosen and (traces := environ.get(_TRACES_ENDPOINT, "").strip()):
        return traces, True
    chosen = chosen or environ.get(_ENDPOINT, "").strip() or DEFAULT_ENDPOINT
    return chosen, chosen.endswith(_TRACES_PATH)


def _exporter(protocol: str, endpoint: str, *, complete: bool) -> SpanExporter:
    # Each is loaded by who needs it: gRPC takes 60 ms, HTTP 50.
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc  # noqa: PLC0415

        return grpc.OTLPSpanExporter(endpoint=endpoint)
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as http  # noqa: PLC0415

        return http.OTLPSpanExporter(
            endpoint=endpoint if complete else endpoint.rstrip("/") + _TRACES_PATH
        )
    raise CannotSendError(f"{protocol!r} is no protocol of OTLP here: grpc or http/protobuf")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Looked at only now: it may be out of range.
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _unreachable(url: str) -> str:
    """Why nobody can be reached there; empty if somebody can. Asked only after a failure."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((str(parts.hostname), port), _CONNECT_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _portions(spans: Iterable[ReadableSpan]) -> Iterator[list[ReadableSpan]]:
    rest = iter(spans)
    while some := list(islice(rest, _SPANS_AT_ONCE)):
        yield some
