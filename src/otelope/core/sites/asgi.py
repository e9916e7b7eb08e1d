"""ASGI applications: bodies are teed as the application reads them, never read ahead."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from otelope.core.adapter import Wrapper
from otelope.core.event_stream import EventStream
from otelope.core.exchange import Conversation, Exchange, bare
from otelope.core.guard import guard
from otelope.core.http import Content, event_content, is_event_stream, route
from otelope.core.message import Message
from otelope.core.sender import Together
from otelope.core.sites.wrapping import Wrapping


Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
AsgiReceive = Callable[[], Awaitable[Event]]
AsgiSend = Callable[[Event], Awaitable[None]]

_ARGUMENTS = 3  # scope, receive and send


def _in_order(scope: Scope, receive: AsgiReceive, send: AsgiSend) -> Any:
    return scope, receive, send


def _said_by_scope(scope: Scope) -> str | None:
    """The template as Starlette and FastAPI tell it."""
    template = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else None


@dataclass(frozen=True)
class Asgi:
    """
    An ASGI application, as close as possible to the code that reads the body.

    Args:
        target: ``module:Class.__call__``, with ``scope``, ``receive`` and ``send``.
        template: The route's template, as the framework tells it when the body has been read.
        routed: Whether it reads the body before it looks for the route, which `Route` tells.
        ahead: Whether it receives a WebSocket's messages before the application asks for them:
            then `Hear` and `Say` tell of those.
        parameters: Only for what has no signature.
    """

    target: str
    template: Callable[[Scope], str | None] = _said_by_scope
    routed: bool = False
    ahead: bool = False
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        limit = wrapping.instrumenter.max_body_bytes

        def run(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            # uvicorn 0.54 calls an application without any, and takes what does not raise at once
            # for one that makes the application.
            if kwargs or len(args) != _ARGUMENTS:
                if len(args) + len(kwargs) != _ARGUMENTS:
                    return wrapped(*args, **kwargs)
                args = _in_order(*args, **kwargs)
            scope, receive, send = args
            open_: Callable[..., _Passing] | None = None
            content: Content | None = None
            with guard:
                kind = scope["type"]
                if kind == "http":
                    content = event_content(scope["headers"], limit)
                    if content is None:
                        send = self._watched(wrapping, scope, send)
                    else:
                        open_ = self._request
                elif kind == "websocket":
                    open_ = self._socket
            if open_ is None:
                return wrapped(scope, receive, send)
            return _passed(open_, wrapped, wrapping, scope, receive, send, content)

        return run

    def _watched(self, wrapping: Wrapping, scope: Scope, send: AsgiSend) -> AsgiSend:
        """What sends a response, and looks whether it is a stream of server-sent events."""
        begun, passes = False, send

        # Each request is sent by it: what it answers is awaited, without a coroutine of its own.
        def watched(event: Event) -> Awaitable[None]:
            nonlocal begun, passes
            if not begun:
                with guard:
                    begun = event["type"] == "http.response.start"
                    if begun:
                        passes = self.sender(wrapping, scope, send, event)
            return passes(event)

        return watched

    def sender(self, wrapping: Wrapping, scope: Scope, send: AsgiSend, event: Event) -> AsgiSend:
        """What sends the response that begins with this event."""
        headers = event.get("headers")
        if headers and is_event_stream(headers):
            return _EventStreamResponse(self, wrapping, scope, send).send
        return send

    def _socket(
        self, wrapping: Wrapping, scope: Scope, receive: AsgiReceive, send: AsgiSend, _: None
    ) -> _Passing:
        conversation = Conversation(wrapping, partial(self.called, scope), scope["headers"])
        if self.ahead:
            return _Untouched(receive, send, conversation.end)
        return _Socket(conversation, receive, send)

    def _request(
        self,
        wrapping: Wrapping,
        scope: Scope,
        receive: AsgiReceive,
        send: AsgiSend,
        content: Content,
    ) -> _Request:
        called, headers = partial(self.called, scope), scope["headers"]
        exchange = Exchange(wrapping, content, called, routed=self.routed, headers=headers)
        return _Request(self, wrapping, scope, exchange, receive, send)

    def called(self, scope: Scope, template: str | None = None) -> str:
        """What the route of a request is called."""
        return _below(scope, template if template is not None else self.template(scope))


async def _passed(
    open_: Callable[..., _Passing],
    wrapped: Wrapper,
    wrapping: Wrapping,
    scope: Scope,
    receive: AsgiReceive,
    send: AsgiSend,
    content: Content | None,
) -> Any:
    """Serve what may be an envelope, in the task that the application runs in."""
    passing: _Passing | None = None
    with guard:
        passing = open_(wrapping, scope, receive, send, content)
    if passing is None:
        return await wrapped(scope, receive, send)
    try:
        answer = await wrapped(scope, passing.receive, passing.send)
    except BaseException as error:
        passing.end(error)
        raise
    passing.end(None)
    return answer


class _Request:
    """A request that may be an envelope."""

    __slots__ = (
        "_begun",
        "_exchange",
        "_receive",
        "_scope",
        "_send",
        "_site",
        "_status",
        "_wrapping",
    )

    def __init__(
        self,
        site: Asgi,
        wrapping: Wrapping,
        scope: Scope,
        exchange: Exchange,
        receive: AsgiReceive,
        send: AsgiSend,
    ) -> None:
        self._site = site
        self._wrapping = wrapping
        self._scope = scope
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._begun = False
        self._status = 0

    async def receive(self) -> Event:
        event = await self._receive()
        if self._exchange.reading:
            with guard:
                if event["type"] == "http.request":
                    last = not event.get("more_body", False)
                    self._exchange.passed(event.get("body", b""), last=last)
                else:
                    self._exchange.abandon()
        return event

    def send(self, event: Event) -> Awaitable[None]:
        starts = False
        if not self._begun:
            with guard:
                starts = self._begun = event["type"] == "http.response.start"
                if starts:
                    self._status = event.get("status", 0)
                    self._send = self._site.sender(self._wrapping, self._scope, self._send, event)
        # As `Asgi._watched`, for all of which nothing is to be seen.
        if starts and self._exchange.delivery is not None:
            return self._start(event)
        return self._answer(event) if self._exchange.answering else self._send(event)

    async def _start(self, event: Event) -> None:
        with guard:
            self._exchange.answers(event.get("headers", ()))
        await self._send(event)
        with guard:
            self._exchange.goes_on()

    async def _answer(self, event: Event) -> None:
        with guard:
            if event["type"] == "http.response.body":
                last = not event.get("more_body", False)
                self._exchange.answered(event.get("body", b""), last=last)
        await self._send(event)

    def end(self, error: BaseException | None) -> None:
        self._exchange.end(error, self._status)


class _EventStreamResponse:
    """A response that is a stream of server-sent events, each perhaps an envelope."""

    def __init__(self, site: Asgi, wrapping: Wrapping, scope: Scope, send: AsgiSend) -> None:
        self._site = site
        self._instrumenter = wrapping.instrumenter
        self._scope = scope
        self._send = send
        self._adapter = bare(wrapping.adapter)
        self._stream = EventStream(self._instrumenter.max_body_bytes)

    async def send(self, event: Event) -> None:
        with Together() as together:
            with guard:
                for data in self._stream.passed(event.get("body", b"")):
                    message = Message(self._site.called(self._scope), data)
                    together.add(self._instrumenter.send(message, self._adapter))
                together.depart()
            await self._send(event)


class _Socket:
    """A WebSocket, which a conversation is held over."""

    def __init__(self, conversation: Conversation, receive: AsgiReceive, send: AsgiSend) -> None:
        self._conversation = conversation
        self._receive = receive
        self._send = send

    async def receive(self) -> Event:
        self._conversation.asked()
        event = await self._receive()
        if event["type"] == "websocket.receive":
            with guard:
                self._conversation.came(_said(event))
        return event

    async def send(self, event: Event) -> None:
        sending = None
        if event["type"] == "websocket.send":
            with guard:
                sending = self._conversation.sending(_said(event))
        if sending is None:
            await self._send(event)
        else:
            with sending:
                await self._send(event)

    def end(self, error: BaseException | None) -> None:
        self._conversation.end(error)


class _Untouched(NamedTuple):
    """A WebSocket of which others tell."""

    receive: AsgiReceive
    send: AsgiSend
    end: Callable[[BaseException | None], None]


_Passing = _Request | _Socket | _Untouched


def _said(event: Event) -> Any:
    text = event.get("text")
    return event.get("bytes") if text is None else text


def _below(scope: Scope, template: str | None) -> str:
    """The template below where the application is mounted; without one, the path without ids."""
    path = template if template is not None else route(str(scope["path"]))
    # A mount leaves its prefix in the path (ASGI, Starlette since 0.33) or takes it away.
    root = route(str(scope.get("root_path", "")))
    return path if path == root or path.startswith(f"{root}/") else root + path
