"""ASGI applications: bodies are teed as the application reads them, never read ahead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from otelope.core.adapter import Wrapper
from otelope.core.carriers import HTTP
from otelope.core.guard import guard
from otelope.core.http import is_event_content, route
from otelope.core.message import Message
from otelope.core.operation import Delivery
from otelope.core.sites.wrapping import Wrapping


Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
AsgiReceive = Callable[[], Awaitable[Event]]
AsgiSend = Callable[[Event], Awaitable[None]]

_SERVER_ERROR = 500


@dataclass(frozen=True)
class Asgi:
    """
    An ASGI application, as close as possible to the code that reads the body.

    The application's own reads pass through; when the last byte has passed, the envelope is
    recognised and its delivery becomes current right there, in the application's task. What the
    application does not read was not delivered.

    Args:
        target: ``module:Class.__call__``, with ``scope``, ``receive`` and ``send``.
        parameters: Only for what has no signature.
    """

    target: str
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        limit = wrapping.instrumenter.max_body_bytes

        async def run(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            exchange = None
            with guard:
                scope, receive, send = _bound(*args, **kwargs)
                if scope["type"] == "http" and is_event_content(scope["headers"], limit):
                    exchange = _Exchange(wrapping, scope, receive, send, limit)
            if exchange is None:
                return await wrapped(*args, **kwargs)
            try:
                answer = await wrapped(scope, exchange.receive, exchange.send)
            except BaseException as error:
                exchange.end(error)
                raise
            exchange.end(None)
            return answer

        return run


class _Exchange:
    """One request and its response."""

    __slots__ = (
        "_chunks",
        "_delivery",
        "_limit",
        "_missing",
        "_receive",
        "_scope",
        "_send",
        "_status",
        "_wrapping",
    )

    def __init__(
        self, wrapping: Wrapping, scope: Scope, receive: AsgiReceive, send: AsgiSend, limit: int
    ) -> None:
        self._wrapping = wrapping
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._chunks: list[bytes] | None = []
        length = HTTP.get(scope["headers"], "content-length")
        # Falcon stops reading at Content-Length, before the last event that says so.
        self._missing = int(length) if length and length.isdigit() else -1
        self._delivery: Delivery | None = None
        self._status = 0

    async def receive(self) -> Event:
        event = await self._receive()
        if self._chunks is not None:
            with guard:
                self._passed(event)
        return event

    async def send(self, event: Event) -> None:
        if event["type"] == "http.response.start":
            self._status = event.get("status", 0)
        await self._send(event)

    def end(self, error: BaseException | None) -> None:
        self._chunks = None
        if self._delivery is not None:
            with guard:
                failed = str(self._status) if self._status >= _SERVER_ERROR else None
                self._delivery.end_within(error)
                self._delivery.end(error, failed)

    def _passed(self, event: Event) -> None:
        assert self._chunks is not None  # noqa: S101 - the caller's condition
        if event["type"] != "http.request":
            self._chunks = None
            return
        chunk = event.get("body", b"")
        self._chunks.append(chunk)
        self._missing -= len(chunk)
        self._limit -= len(chunk)
        if self._limit < 0:
            self._chunks = None
        elif not event.get("more_body", False) or self._missing == 0:
            body, self._chunks = b"".join(self._chunks), None
            message = Message(_route(self._scope), body, self._scope["headers"])
            self._delivery = self._wrapping.instrumenter.deliver(
                [message], self._wrapping.adapter, in_request=True
            )
            if self._delivery is not None:
                self._delivery.attach()


def _bound(scope: Scope, receive: AsgiReceive, send: AsgiSend) -> tuple[Scope, Any, Any]:
    return scope, receive, send


def _route(scope: Scope) -> str:
    """The route's template where the framework tells it, else the path without its ids."""
    template = getattr(scope.get("route"), "path", None)
    path = template if isinstance(template, str) else route(str(scope["path"]))
    # A mount leaves its prefix in the path (ASGI, Starlette since 0.33) or takes it away.
    root = route(str(scope.get("root_path", "")))
    return path if path == root or path.startswith(f"{root}/") else root + path
