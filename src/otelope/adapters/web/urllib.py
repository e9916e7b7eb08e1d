"""`urllib.request` of the standard library: each request, so each redirect."""

from __future__ import annotations

import copy

from http.client import HTTPResponse
from urllib.parse import urlsplit

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import error_of_answer, messages_of, pairs_of, text_of
from otelope.core.message import Message
from otelope.core.sites import send_request


def requested(call: Call) -> list[Message]:
    request = call["req"]
    headers = pairs_of(dict(request.header_items()))
    return messages_of(lambda: urlsplit(request.selector).path, request.data, headers)


def stamped(call: Call, headers: list[tuple[bytes, bytes]]) -> None:
    call["req"] = request = copy.copy(call["req"])
    # Those that a redirect takes along are the application's.
    request.unredirected_hdrs = dict(text_of(headers))
    request.headers = {}


def answered(response: HTTPResponse) -> str | None:
    return error_of_answer(response.status)


ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        send_request("urllib.request:AbstractHTTPHandler.do_open", requested, stamped, answered),
    ),
    contrib="opentelemetry.instrumentation.urllib:URLLibInstrumentor",
)
