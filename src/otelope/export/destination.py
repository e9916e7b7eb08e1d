"""Where a signal goes: OpenTelemetry's own environment variables for OTLP."""

from __future__ import annotations

import logging
import os

from collections.abc import Mapping
from typing import Literal, NamedTuple

from opentelemetry.util.re import parse_env_headers

from otelope.export.signals import LOGS, Signal


Protocol = Literal["grpc", "http/protobuf"]

_logger = logging.getLogger("otelope")

_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_TIMEOUT = 10.0


class Destination(NamedTuple):
    """
    Where and how a signal is sent.

    Args:
        protocol: How OTLP travels.
        endpoint: For gRPC a target (``host:port``), for HTTP the whole URL.
        secure: Whether gRPC uses TLS; over HTTP the URL says it.
        headers: Sent with every export, names in lower case.
        certificate: A file of certificates to trust, instead of the system's.
        client_key: A file with this client's private key, for mutual TLS.
        client_certificate: A file with this client's certificate.
        compressed: Whether requests are gzipped.
        timeout: Of one export, in seconds.
        signal: What is sent.
    """

    protocol: Protocol
    endpoint: str
    secure: bool
    headers: tuple[tuple[str, str], ...] = ()
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None
    compressed: bool = False
    timeout: float = _DEFAULT_TIMEOUT
    signal: Signal = LOGS


def destination(environ: Mapping[str, str] = os.environ, signal: Signal = LOGS) -> Destination:
    """Read ``OTEL_EXPORTER_OTLP_<signal>_*`` and ``OTEL_EXPORTER_OTLP_*``; never raises."""
    # The specification lets what is set for a signal come first.
    own = f"{_PREFIX}{signal.variable}_"

    def read(name: str) -> str | None:
        for full in (own + name, _PREFIX + name):
            if text := environ.get(full, "").strip():
                return text
        return None

    protocol = _protocol(read("PROTOCOL"))
    if protocol == "grpc":
        endpoint, secure = _grpc_endpoint(read("ENDPOINT"), read("INSECURE"))
    else:
        whole = environ.get(f"{own}ENDPOINT", "").strip()
        endpoint, secure = _http_endpoint(whole, read("ENDPOINT"), signal.path), False
    return Destination(
        protocol,
        endpoint,
        secure,
        tuple(parse_env_headers(read("HEADERS") or "", liberal=True).items()),
        read("CERTIFICATE"),
        read("CLIENT_KEY"),
        read("CLIENT_CERTIFICATE"),
        _compressed(read("COMPRESSION")),
        _timeout(read("TIMEOUT")),
        signal,
    )


def _protocol(text: str | None) -> Protocol:
    # grpc is what opentelemetry-distro sets, and the one server port most collectors open first.
    text = (text or "grpc").lower()
    if text in ("grpc", "http/protobuf"):
        return "grpc" if text == "grpc" else "http/protobuf"
    used: Protocol = "http/protobuf" if text.startswith("http") else "grpc"
    _logger.warning(
        "%sPROTOCOL=%s is not supported, %s is used instead; set grpc or http/protobuf.",
        _PREFIX,
        text,
        used,
    )
    return used


def _grpc_endpoint(text: str | None, insecure: str | None) -> tuple[str, bool]:
    text = text or "http://localhost:4317"
    scheme, separator, rest = text.partition("://")
    if not separator:
        # host:port. The specification lets OTEL_EXPORTER_OTLP_INSECURE decide here, and only here.
        return text, (insecure or "false").lower() != "true"
    if scheme.lower() in ("http", "https"):
        # No urlsplit, which raises at a bracket too few; gRPC says what it cannot resolve.
        return rest.partition("/")[0], scheme.lower() == "https"
    return text, False  # unix://, dns://: gRPC's own to read


def _http_endpoint(own: str, shared: str | None, path: str) -> str:
    url = own or (shared or "http://localhost:4318").rstrip("/") + path
    if "://" not in url:
        _logger.warning(
            "%sENDPOINT has no scheme; http://%s is used. Write http:// or https://.", _PREFIX, url
        )
        url = "http://" + url
    return url


def _compressed(text: str | None) -> bool:
    text = (text or "none").lower()
    if text not in ("none", "gzip"):
        _logger.warning(
            "%sCOMPRESSION=%s is not supported, none is used; set gzip or none.", _PREFIX, text
        )
    return text == "gzip"


def _timeout(text: str | None) -> float:
    if text is None:
        return _DEFAULT_TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < float("inf"):
        _logger.warning(
            "%sTIMEOUT=%s is no positive number of seconds; %g is used.",
            _PREFIX,
            text,
            _DEFAULT_TIMEOUT,
        )
        return _DEFAULT_TIMEOUT
    return seconds
