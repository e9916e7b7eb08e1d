"""Falcon under WSGI and ASGI."""

from __future__ import annotations

from typing import Any

from otelope.core.adapter import Adapter, part
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.sites.asgi import Asgi
from otelope.core.sites.serve import Catch, Route
from otelope.core.sites.socket import Hear, Say
from otelope.core.sites.wsgi import Wsgi


_SOCKET = "falcon.asgi.ws:WebSocket"


def template(found: Any) -> str | None:
    # Resource, methods, parameters and the template; None where no route fits.
    return found[3] if found is not None else None


def said(event: Any) -> str | bytes | None:
    text: str | None = event.get("text")
    return event.get("bytes") if text is None else text


def caught(call: Call) -> BaseException | None:
    error: BaseException = call["ex"]
    return error


ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Wsgi("falcon.app:App.__call__"),
        Catch("falcon.app:App._handle_exception", caught),
        Route("falcon.routing.compiled:CompiledRouter.find", template),
    ),
    parts=(
        part(
            "http",
            HTTP,
            Asgi("falcon.asgi.app:App.__call__", ahead=True),
            Catch("falcon.asgi.app:App._handle_exception", caught),
            Hear(f"{_SOCKET}._receive", said),
            Say(f"{_SOCKET}._send", lambda call: said(call["msg"])),
        ),
    ),
)
