"""The server of aiohttp."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import route
from otelope.core.sites.serve import Read, Request, Serve
from otelope.core.sites.socket import Hear, Say


_STREAM = "aiohttp.streams:StreamReader"
_SOCKET = "aiohttp.web_ws:WebSocketResponse"


def requested(call: Call) -> Request:
    request = call["request"]
    return Request(request.raw_headers, partial(template, request), request.content)


def template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else route(request.path)


def read(_: Any, call: Call) -> bool:
    return bool(call.instance.at_eof())


ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Serve("aiohttp.web_app:Application._handle", requested),
        Read(f"{_STREAM}._read_nowait_chunk", last=read),
        # By which it learns that nothing is left.
        Read(f"{_STREAM}._read_nowait", body=lambda _: b"", last=read),
        Hear(f"{_SOCKET}.receive", lambda message: message.data),
        Say(f"{_SOCKET}.send_str", lambda call: call["data"]),
        Say(f"{_SOCKET}.send_bytes", lambda call: call["data"]),
    ),
)
