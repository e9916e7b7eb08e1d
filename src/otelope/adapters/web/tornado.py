"""Tornado."""

from __future__ import annotations

from functools import partial
from typing import Any

from tornado.web import Finish

from otelope.core.adapter import Adapter, part
from otelope.core.call import Call
from otelope.core.carriers import BARE, HTTP
from otelope.core.http import SERVER_ERROR, pairs_of, route
from otelope.core.sites import Process
from otelope.core.sites.serve import Catch, Lose, Read, Request, Respond, Response, Serve
from otelope.core.sites.socket import Say, heard


def requested(call: Call) -> Request:
    handler, request = call.instance, call.instance.request
    headers, template = pairs_of(request.headers.get_all()), partial(route, request.path)
    by = request.method.lower() if handler._stream_request_body else ""  # noqa: SLF001 - nobody else says
    return Request(headers, template, request, request.body, handled_by=by)


def status(_: Any, call: Call) -> int:
    code: int = call.instance.get_status()
    # What fails while it is answered keeps the status that it has begun with.
    return code if code >= SERVER_ERROR else 0


def response(call: Call) -> Response:
    handler = call.instance
    headers, body = pairs_of(handler._headers.get_all()), b"".join(handler._write_buffer)  # noqa: SLF001 - as it sends
    return Response(headers, body, last=bool(call["include_footers"]))


def caught(call: Call) -> BaseException | None:
    error: BaseException = call["e"]
    answers = isinstance(error, Finish) or getattr(error, "status_code", 500) < SERVER_ERROR
    return None if answers else error


_DELEGATE = "tornado.web:_HandlerDelegate"
_HEAR = Process("tornado.websocket:WebSocketProtocol._run_callback", heard, "callback")
_SAY = Say("tornado.websocket:WebSocketHandler.write_message", lambda call: call["message"])
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Serve("tornado.web:RequestHandler._execute", requested, status, opened="prepare"),
        Read(f"{_DELEGATE}.data_received", lambda call: call.instance.request, handed="data"),
        # Who is told of that may forget to end the handling, and Tornado keeps it.
        Lose(f"{_DELEGATE}.on_connection_close", lambda call: call.instance.request),
        Respond("tornado.web:RequestHandler.flush", response),
        Catch("tornado.web:RequestHandler._handle_request_exception", caught),
    ),
    parts=(part("http", BARE, _HEAR, _SAY),),
    contrib="opentelemetry.instrumentation.tornado:TornadoInstrumentor",
)
