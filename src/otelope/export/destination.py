"""Where records go: OpenTelemetry's own environment variables for OTLP logs."""

from __future__ import annotations

import logging
import os

from collections.abc import Mapping
from typing import Literal, NamedTuple

from opentelemetry.util.re import parse_env_headers


Protocol = Literal["grpc", "http/protobuf"]

_logger = logging.getLogger("otelope")

_PREFIX = "OTEL_EXPORTER_OTLP_"
_DEFAULT_TIMEOUT = 10.0


class Destination(NamedTuple):
    """
    Where and how records are sent.

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


def destination(environ: Mapping[str, str] = os.environ) -> Destination:
    """Read ``OTEL_EXPORTER_OTLP_LOGS_*`` and ``OTEL_EXPORTER_OTLP_*``; never raises."""
    protocol = _protocol(environ)
    endpoint, secure = (
        _grpc_endpoint(environ) if protocol == "grpc" else (_http_endpoint(environ), False)
    )
    return Destination(
        protocol,
        endpoint,
        secure,
        tuple(parse_env_headers(_read(environ, "HEADERS") or "", liberal=True).items()),
        _read(environ, "CERTIFICATE"),
        _read(environ, "CLIENT_KEY"),
        _read(environ, "CLIENT_CERTIFICATE"),
        _compressed(environ),
        _timeout(environ),
    )


def _read(environ: Mapping[str, str], name: str) -> str | None:
    for full in (f"{_PREFIX}LOGS_{name}", _PREFIX + name):
        if text := environ.get(full, "").strip():
            return text
    return None


def _protocol(environ: Mapping[str, str]) -> Protocol:
    # grpc is what opentelemetry-distro sets, and the one server port most collectors open first.
    text = (_read(environ, "PROTOCOL") or "grpc").lower()
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


def _grpc_endpoint(environ: Mapping[str, str]) -> tuple[str, bool]:
    text = _read(environ, "ENDPOINT") or "http://localhost:4317"
    scheme, separator, rest = text.partition("://")
    if not separator:
        # host:port. The specification lets OTEL_EXPORTER_OTLP_INSECURE decide here, and only here.
        return text, (_read(environ, "INSECURE") or "false").lower() != "true"
    if scheme.lower() in ("http", "https"):
        # No urlsplit, which raises at a bracket too few; gRPC says what it cannot resolve.
        return rest.partition("/")[0], scheme.lower() == "https"
    return text, False  # unix://, dns://: gRPC's own to read


def _http_endpoint(environ: Mapping[str, str]) -> str:
    own = environ.get(f"{_PREFIX}LOGS_ENDPOINT", "").strip()
    shared = environ.get(f"{_PREFIX}ENDPOINT", "").strip() or "http://localhost:4318"
    url = own or shared.rstrip("/") + "/v1/logs"
    if "://" not in url:
        _logger.warning(
            "%sENDPOINT has no scheme; http://%s is used. Write http:// or https://.", _PREFIX, url
        )
        url = "http://" + url
    return url


def _compressed(environ: Mapping[str, str]) -> bool:
    text = (_read(environ, "COMPRESSION") or "none").lower()
    if text not in ("none", "gzip"):
        _logger.warning(
            "%sCOMPRESSION=%s is not supported, none is used; set gzip or none.", _PREFIX, text
        )
    return text == "gzip"


def _timeout(environ: Mapping[str, str]) -> float:
    text = _read(environ, "TIMEOUT")
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
