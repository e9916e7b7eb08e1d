"""Sanic, on its own server and as an ASGI application."""

from __future__ import annotations

from functools import partial
from typing import Any

from sanic.request import Request as SanicRequest

from otelope.core.adapter import Adapter, part
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import pairs_of, route
from otelope.core.sites.serve import Find, Read, Request, Serve
from otelope.core.sites.socket import Hear, Say


_SOCKET = "sanic.server.websockets.impl:WebsocketImplProtocol"


def requested(call: Call) -> Request:
    request = call.args[0]
    stream = request.stream
    # Where the handler receives it, in parts.
    body = None if getattr(stream, "request_body", None) else request.body
    return Request(pairs_of(request.headers), partial(template, request), stream, body)


def template(request: SanicRequest) -> str:
    return f"/{request.route.path}" if request.route is not None else route(request.path)


def read(answer: Any, _: Call) -> bytes:
    return answer or b""


def whole(_: Any, call: Call) -> bool:
    return not call.instance.request_body


def compiled(function: Any) -> Any:
    return function if function.__name__ == "read" else None


def handler(found: Any) -> Any:
    return found[1].args[0] if hasattr(found[1], "is_websocket") else found[1]


def with_handler(found: Any, ours: Any) -> Any:
    if hasattr(found[1], "is_websocket"):  # Sanic's own around it, to which nothing is raised
        around = partial(found[1].func, ours, *found[1].args[1:], **found[1].keywords)
        vars(around).update(vars(found[1]))
        ours = around
    return (found[0], ours, *found[2:])


# Functions of its own are compiled anew from their source when a server starts (`sanic.touchup`):
# what wraps those that handle requests would be lost, and what reads them is wrapped again.
_SERVE = Serve("", requested)
_READ = Read("sanic.http.http1:Http.read", body=read, last=whole)
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Find("sanic.router:Router.get", handler, _SERVE, with_handler),
        Hear(f"{_SOCKET}.recv"),
        Say(f"{_SOCKET}.send", lambda call: call["message"]),
    ),
    parts=(
        part("http", HTTP, _READ),
        part("http", HTTP, Find("sanic.touchup.schemes.base:BaseScheme.build", compiled, _READ)),
        part("http", HTTP, Read("sanic.asgi:ASGIApp.read", body=read, last=whole)),
    ),
)
