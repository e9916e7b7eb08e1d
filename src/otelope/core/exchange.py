"""One request over HTTP that a framework handles, and the deliveries of what it carries."""

from __future__ import annotations

import functools

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from otelope.core.adapter import Adapter
from otelope.core.carriers import BARE
from otelope.core.guard import guard
from otelope.core.http import SERVER_ERROR, Content, Pairs, batched, event_content
from otelope.core.message import Message
from otelope.core.operation import Delivery
from otelope.core.sender import Sending
from otelope.core.sites.wrapping import Wrapping


# The request that is handled in this thread or task.
_current: ContextVar[Exchange | Conversation | None] = ContextVar("otelope.exchange", default=None)


def current_exchange() -> Exchange | None:
    """The request whose body is of interest in this thread or task; None outside of one."""
    current = _current.get()
    return current if isinstance(current, Exchange) else None


def current_conversation() -> Conversation | None:
    """The WebSocket that the application talks over in this thread or task; None outside."""
    current = _current.get()
    return current if isinstance(current, Conversation) else None


def current_handling() -> Exchange | Conversation | None:
    """The request or the WebSocket that is handled in this thread or task; None outside of one."""
    return _current.get()


class Exchange:
    """
    One request whose body may be an envelope, from its arrival to the end of its response.

    The application's own reads pass through. When the last byte has passed, the envelope is
    recognised and its delivery becomes current right there, in the application's thread or task.
    What the application does not read was not delivered. Where the response to an envelope is
    another one, its result, that is sent by it.

    Args:
        wrapping: Of the site.
        content: What its headers say of its body.
        route: What the route is called, given its template as `is_routed` said it, or None; asked
            when the body has been read.
        routed: Whether the body may be read before the framework looks for the route, or in
            another task than the one that handles it: then what has been read is delivered when
            `is_routed` says that it was found, and there.
        headers: The object that holds them, where another site may see the same further inside.

    Attributes:
        delivery: Of what it carried; None until that has come, and where it was no envelope.
        headers: As given.
        source: What the body is read from, where others read by the same functions; None when the
            request has ended.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_answer_headers",
        "_batch",
        "_caught",
        "_channel",
        "_message_headers",
        "_missing",
        "_read",
        "_responds",
        "_room",
        "_route",
        "_template",
        "_unrouted",
        "_whole",
        "_within",
        "_wrapping",
        "delivery",
        "headers",
        "source",
    )

    def __init__(
        self,
        wrapping: Wrapping,
        content: Content,
        route: Callable[[str | None], str],
        *,
        routed: bool = False,
        headers: Any = None,
    ) -> None:
        self._wrapping = wrapping
        self.headers = headers
        self._message_headers = content.headers
        # Some frameworks stop reading at the declared length, before the end is said.
        self._missing = -1 if content.length is None else content.length
        self._batch = content.batch
        self._room = wrapping.instrumenter.max_body_bytes
        self._route = route
        self._template: str | None = None
        self._unrouted = routed
        # Not the chunks: of a body that comes byte by byte, they would take 40 times its size.
        self._read: bytearray | None = bytearray()
        self._whole = False
        self._caught: BaseException | None = None
        self.delivery: Delivery | None = None
        self._channel = ""
        self._answer: bytearray | None = None
        self._answer_headers: Mapping[bytes, bytes] = {}
        self._responds = False
        self.source: Any = None
        self._within = _begun(headers)
        _current.set(self)

    @property
    def answering(self) -> bool:
        """Whether what the application answers is of interest."""
        return self._answer is not None

    @property
    def reading(self) -> bool:
        """Whether what the application reads is still of interest."""
        return self._read is not None

    def reads(self, source: Any, wrapping: Wrapping) -> bool:
        """Whether what a site reads from there is of interest."""
        # Also sites of an instrumentation that has ended, where the library keeps its functions.
        return (
            self._read is not None
            and self.source is source
            and self._wrapping.instrumenter is wrapping.instrumenter
        )

    def passed(self, chunk: bytes, *, last: bool = False) -> None:
        """Note what the application has read; *last* where the body ends with it."""
        if self._read is None:
            return
        self._read += chunk
        self._missing -= len(chunk)
        self._room -= len(chunk)
        if self._room < 0:
            self._read = None
        elif last and self._missing > 0:
            self._read = None  # the client went away in the middle
        elif last or self._missing == 0:
            self._whole = True
            if not self._unrouted:
                self._deliver()

    def hand_in(self) -> None:
        """
        Leave what is handled to who looks further inside.

        So it is where an application is mounted in another one: between them contrib's ASGI
        middleware may stand, which takes away what became current while it received.
        """
        if not self._read:
            self._read = None
        self.goes_on()

    def is_routed(self, template: str | None = None) -> None:
        """Note that the framework has found the route, and its template; None if it tells none."""
        self._template = template
        self._unrouted = False
        if self._whole and self._read is not None:
            self._deliver()

    def caught(self, error: BaseException) -> None:
        """Note what the application raised, where the framework answers in its stead."""
        self._caught = error

    def goes_on(self) -> None:
        """
        Note that the handling does, where the context may be another one.

        Contrib's instrumentations of Django, Falcon and Flask, and its WSGI middleware (0.62 to
        0.66), take theirs away before a response is generated, and ours with it.
        """
        if self.delivery is not None:
            self.delivery.resume()

    def answers(self, headers: Pairs) -> None:
        """Note the headers that the response begins with."""
        limit = self._wrapping.instrumenter.max_body_bytes
        content = event_content(headers, limit) if self.delivery is not None else None
        if content is not None:
            self._answer, self._answer_headers, self._room = bytearray(), content.headers, limit

    def answered(self, chunk: bytes, *, last: bool = False) -> None:
        """Note a part of the response; *last* where it ends with that."""
        if self._answer is None:
            return
        self._answer += chunk
        self._room -= len(chunk)
        if self._room < 0:
            self._answer = None
        elif last:
            self._send(bytes(self._answer))
            self._answer = None

    def responds(self, headers: Pairs, body: bytes, *, last: bool) -> None:
        """Note a response, or a part of it; *last* where it ends with that."""
        if not self._responds:
            self._responds = True
            self.answers(headers)
        self.answered(body, last=last)

    def abandon(self) -> None:
        """Look no more at what is read: the body will not end."""
        self._read = None

    def end(self, error: BaseException | None, status: int) -> None:
        """
        End it.

        Args:
            error: What the application raised.
            status: Of the response; 0 where that is unknown.
        """
        self._read = self.source = None
        if _current.get() is self:
            _current.set(self._within)
        if self.delivery is not None:
            with guard:
                failed = status >= SERVER_ERROR
                if error is None and (failed or not status):
                    error = self._caught
                error = _alone(error) if error is not None else None
                self.delivery.end_within(error)
                self.delivery.end(error, str(status) if failed else None)
        self._caught = None

    def _send(self, body: bytes) -> None:
        """Send what the response carries, unless it says again what came."""
        wrapping, message = self._wrapping, Message(self._channel, body, self._answer_headers)
        envelope = wrapping.instrumenter.recognise(message, wrapping.adapter.carrier)
        if envelope is None or (self.delivery and self.delivery.handles(envelope.id)):
            return
        sending = wrapping.instrumenter.send(message, wrapping.adapter)
        if sending is not None:
            sending.end(None)

    def _deliver(self) -> None:
        assert self._read is not None  # noqa: S101 - the callers' condition
        body, self._read = bytes(self._read), None
        wrapping, headers = self._wrapping, self._message_headers
        if self._batch:
            messages = [Message(None, part, headers) for part in batched(body)]
        else:
            messages = [Message(None, body, headers)]
        self.delivery = wrapping.instrumenter.deliver(
            messages,
            wrapping.adapter,
            in_request=True,
            channel=self._called,
        )
        if self.delivery is not None:
            self.delivery.attach()

    def _called(self) -> str:
        self._channel = self._route(self._template)
        return self._channel


class Conversation:
    """
    A WebSocket, of which each message may be an envelope.

    One that came is handled until the next one is asked for, or the application ends.

    Args:
        wrapping: Of the site.
        channel: What the route is called; asked for each message.
        headers: The object that holds those of its opening request, as of an `Exchange`.
    """

    __slots__ = (
        "_adapter",
        "_caught",
        "_delivery",
        "_handed_in",
        "_instrumenter",
        "_within",
        "channel",
        "headers",
    )

    def __init__(
        self, wrapping: Wrapping, channel: Callable[[], str], headers: Any = None
    ) -> None:
        self._instrumenter = wrapping.instrumenter
        self._adapter = bare(wrapping.adapter)
        self.channel = channel
        self.headers = headers
        self._handed_in = False
        self._delivery: Delivery | None = None
        self._caught: BaseException | None = None
        self._within = _begun(headers)
        _current.set(self)

    def hand_in(self) -> None:
        """As of an `Exchange`."""
        self._handed_in = True

    def asked(self) -> None:
        """Note that the application asks for the next message."""
        self._end_delivery(None)

    def came(self, body: Any) -> None:
        """Note that it came: text or bytes; anything else is no message."""
        if self._handed_in:
            return
        message = Message(self.channel(), body)
        self._delivery = self._instrumenter.deliver([message], self._adapter, in_request=True)
        if self._delivery is not None:
            self._delivery.attach()

    def sending(self, body: Any) -> Sending | None:
        """What begins with the sending of it; None where it is no envelope."""
        if self._handed_in:
            return None
        return self._instrumenter.send(Message(self.channel(), body), self._adapter)

    def caught(self, error: BaseException) -> None:
        """Note what the application raised, where the framework answers in its stead."""
        self._caught = error

    def end(self, error: BaseException | None, _: int = 0) -> None:
        """End it, with what the application raised."""
        if _current.get() is self:
            _current.set(self._within)
        self._end_delivery(error or self._caught)
        self._caught = None

    def _end_delivery(self, error: BaseException | None) -> None:
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            with guard:
                delivery.end_within(error)
                delivery.end(error)


def _begun(headers: Any) -> Exchange | Conversation | None:
    """What is handled here when a request begins, which it leaves to that if it is the same."""
    current = _current.get()
    if current is not None and headers is not None and current.headers is headers:
        current.hand_in()
    return current


@functools.cache
def bare(adapter: Adapter) -> Adapter:
    """The same for what has no headers, as what passes through a socket."""
    return replace(adapter, carrier=BARE)


def _alone(error: BaseException) -> BaseException:
    """What went wrong, where a framework's task group has it as its only one."""
    within: Sequence[BaseException] = getattr(error, "exceptions", ())
    return _alone(within[0]) if len(within) == 1 else error
