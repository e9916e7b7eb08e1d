"""HTTPX: requests of the sync and the async client."""

from __future__ import annotations

import httpx

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import error_of_answer, messages_of
from otelope.core.message import Message
from otelope.core.sites import send_request


def requested(call: Call) -> list[Message]:
    request = call["request"]
    # Not its content, which a request that follows a redirect has not read.
    whole = isinstance(request.stream, httpx.ByteStream)
    body = b"".join(request.stream) if whole else None
    return messages_of(lambda: request.url.path, body, request.headers.raw)


def stamped(call: Call, headers: list[tuple[bytes, bytes]]) -> None:
    request = call["request"]
    call["request"] = httpx.Request(
        request.method,
        request.url,
        headers=headers,
        stream=request.stream,
        extensions=request.extensions,
    )


def answered(response: httpx.Response) -> str | None:
    return error_of_answer(response.status_code)


# Transports, not clients: a redirect or a retry is another sending of the same envelope, and the
# application keeps its own request object.
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        send_request("httpx:HTTPTransport.handle_request", requested, stamped, answered),
        send_request(
            "httpx:AsyncHTTPTransport.handle_async_request", requested, stamped, answered
        ),
        send_request("httpx:WSGITransport.handle_request", requested, stamped, answered),
        send_request("httpx:ASGITransport.handle_async_request", requested, stamped, answered),
    ),
    contrib="opentelemetry.instrumentation.httpx:HTTPXClientInstrumentor",
)
