"""Quart."""

from __future__ import annotations

from functools import partial
from typing import Any

from quart.wrappers import Request as QuartRequest
from quart.wrappers import Websocket

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import pairs_of, route
from otelope.core.sites.serve import Catch, Read, Request, Respond, Response, Serve
from otelope.core.sites.socket import Hear, Say


_REQUEST = "quart.wrappers.request:"
_SOCKET = "quart.wrappers.websocket:Websocket"


def requested(call: Call) -> Request:
    request = call.args[0]  # or the WebSocket
    source = getattr(request, "body", None)
    return Request(request.scope["headers"], partial(template, request), source, talks=not source)


def template(request: QuartRequest | Websocket) -> str:
    return request.url_rule.rule if request.url_rule is not None else route(request.path)


def read(answer: Any) -> bytes:
    return answer.encode() if isinstance(answer, str) else answer


def response(call: Call) -> Response | None:
    answer = call["response"]
    data = getattr(answer.response, "data", None)
    return Response(pairs_of(answer.headers), data) if isinstance(data, bytes) else None


# It reads requests in one task and handles them in another.
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Serve("quart.asgi:ASGIHTTPConnection.handle_request", requested),
        Respond("quart.asgi:ASGIHTTPConnection._send_response", response),
        Catch("quart.app:Quart.handle_exception", lambda call: call["error"]),
        Read(
            f"{_REQUEST}Request.get_data", lambda call: call.instance.body, read, lambda *_: True
        ),
        Read(f"{_REQUEST}Body.__anext__"),
        Serve("quart.asgi:ASGIWebsocketConnection.handle_websocket", requested),
        Catch("quart.app:Quart.handle_websocket_exception", lambda call: call["error"]),
        Hear(f"{_SOCKET}.receive"),
        Say(f"{_SOCKET}.send", lambda call: call["data"]),
    ),
)
