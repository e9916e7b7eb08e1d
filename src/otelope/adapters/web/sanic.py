"""Sanic, on its own server and as an ASGI application."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from otelope.core.adapter import Adapter, part
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import pairs_of, route
from otelope.core.sites.serve import Find, Read, Request, Serve
from otelope.core.sites.socket import Hear, Say


_SOCKET = "sanic.server.websockets.impl:WebsocketImplProtocol"


def requested(call: Call) -> Request:
    request = call.args[0]
    # Where some is left, the handler receives it.
    body = None if getattr(request.stream, "request_body", None) else request.body
    return Request(pairs_of(request.headers), partial(template, request), request.stream, body)


def template(request: Any) -> str:
    return f"/{request.route.path}" if request.route is not None else route(request.path)


def handler(found: Any) -> Any:
    return found[1].args[0] if hasattr(found[1], "is_websocket") else found[1]


def with_handler(found: Any, ours: Any) -> Any:
    if hasattr(found[1], "is_websocket"):  # Sanic's own around it, to which nothing is raised
        around = partial(found[1].func, ours, *found[1].args[1:], **found[1].keywords)
        vars(around).update(vars(found[1]))
        ours = around
    return (found[0], ours, *found[2:])


# When a server starts, some of its functions are compiled anew from their source, and what wraps
# them is lost (`sanic.touchup`): handlers are found one by one, what reads is wrapped once more.
_READ = Read("sanic.http.http1:Http.read", last=lambda _, call: not call.instance.request_body)
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Find("sanic.router:Router.get", Serve("", requested), handler, with_handler),
        Hear(f"{_SOCKET}.recv"),
        Say(f"{_SOCKET}.send", lambda call: call["message"]),
    ),
    parts=(
        part("http", HTTP, _READ),
        part("http", HTTP, replace(_READ, target="sanic.asgi:ASGIApp.read")),
        part("http", HTTP, Find("sanic.touchup.schemes.base:BaseScheme.build", _READ)),
    ),
)
