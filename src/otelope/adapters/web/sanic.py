"""Sanic, on its own server and as an ASGI application."""

from __future__ import annotations

from functools import partial
from typing import Any

from sanic.request import Request as SanicRequest

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import pairs_of, route
from otelope.core.sites.serve import Find, Request, Serve
from otelope.core.sites.socket import Hear, Say


_SOCKET = "sanic.server.websockets.impl:WebsocketImplProtocol"


def requested(call: Call) -> Request:
    request = call.args[0]
    # It is empty where the handler receives it, in parts.
    return Request(pairs_of(request.headers), partial(template, request), body=request.body)


def template(request: SanicRequest) -> str:
    return f"/{request.route.path}" if request.route is not None else route(request.path)


def handler(found: Any) -> Any:
    return found[1].args[0] if hasattr(found[1], "is_websocket") else found[1]


def with_handler(found: Any, ours: Any) -> Any:
    if hasattr(found[1], "is_websocket"):  # Sanic's own around it, to which nothing is raised
        around = partial(found[1].func, ours, *found[1].args[1:], **found[1].keywords)
        vars(around).update(vars(found[1]))
        ours = around
    return (found[0], ours, *found[2:])


# Not the application's own functions: when a server starts, it compiles those anew from their
# source (`sanic.touchup`), and would fail on ours.
_SERVE = Serve("", requested)
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Find("sanic.router:Router.get", handler, with_handler, _SERVE),
        Hear(f"{_SOCKET}.recv"),
        Say(f"{_SOCKET}.send", lambda call: call["message"]),
    ),
)
