"""HTTPX: requests of the sync and the async client."""

from __future__ import annotations

import httpx

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import error_of_answer, event_content, route
from otelope.core.message import Message
from otelope.core.sites import Send


def requested(call: Call) -> Message | None:
    request = call["request"]
    # A body that is still to be generated is the application's to iterate, once.
    if not isinstance(request.stream, httpx.ByteStream) or not event_content(request.headers.raw):
        return None
    # Not its content, which a request that follows a redirect has not read.
    return Message(route(request.url.path), b"".join(request.stream), request.headers.raw)


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
        Send("httpx:HTTPTransport.handle_request", requested, stamped, answered),
        Send("httpx:AsyncHTTPTransport.handle_async_request", requested, stamped, answered),
        Send("httpx:WSGITransport.handle_request", requested, stamped, answered),
        Send("httpx:ASGITransport.handle_async_request", requested, stamped, answered),
    ),
    contrib="opentelemetry.instrumentation.httpx:HTTPXClientInstrumentor",
)
