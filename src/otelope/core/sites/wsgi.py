"""WSGI applications: bodies are teed as the application reads them, never read ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt

from otelope.core.adapter import Wrapper
from otelope.core.carriers import BARE
from otelope.core.event_stream import EventStream
from otelope.core.exchange import Exchange
from otelope.core.guard import guard
from otelope.core.http import Content, event_content_said, is_event_stream, pairs_of, route
from otelope.core.message import Message
from otelope.core.sites.wrapping import Wrapping


Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_ARGUMENTS = 2  # environ and start_response
_INPUT = "wsgi.input"
_FILE_WRAPPER = "wsgi.file_wrapper"
# What CGI, whose names these are, gives no prefix.
_BARE = {"CONTENT_TYPE": b"content-type", "CONTENT_LENGTH": b"content-length"}
_PREFIX = "HTTP_"


@dataclass(frozen=True)
class Wsgi:
    """
    A WSGI application, as close as possible to the code that reads the body.

    A response that is generated while the server sends it is a part of the handling.

    Args:
        target: ``module:Class.method``, with ``environ`` and ``start_response``.
        template: The route's template, as the framework tells it when the body has been read.
        routed: Whether it may read the body before it looks for the route, which `Route` tells.
        parameters: Only for what has no signature.
    """

    target: str
    template: Callable[[Environ], str | None] = lambda _: None
    routed: bool = False
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        limit = wrapping.instrumenter.max_body_bytes

        # What passes as an event of a stream has no headers.
        bare = replace(wrapping, adapter=replace(wrapping.adapter, carrier=BARE))

        def run(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            if len(args) + len(kwargs) != _ARGUMENTS:
                return wrapped(*args, **kwargs)
            return serve(wrapped, *args, **kwargs)

        def serve(wrapped: Wrapper, environ: Environ, start_response: StartResponse) -> Any:
            exchange = None
            with guard:
                content = _event_content(environ, limit)
                if content is not None:
                    exchange = self._exchange(wrapping, environ, content)
                    environ[_INPUT] = _Input(environ[_INPUT], exchange)
            response = _Response(start_response, exchange)
            try:
                answer = wrapped(environ, response.start)
            except BaseException as error:
                response.end(error)
                raise
            if response.streams and not isinstance(answer, list | tuple):
                answer = _Events(answer, bare, partial(self._called, environ, None))
            return answer if exchange is None else response.answer(answer, environ)

        return run

    def _exchange(self, wrapping: Wrapping, environ: Environ, content: Content) -> Exchange:
        called = partial(self._called, environ)
        content.headers = dict(_headers(environ))
        return Exchange(wrapping, content, called, routed=self.routed)

    def _called(self, environ: Environ, template: str | None) -> str:
        # PATH_INFO is the path below SCRIPT_NAME, where the application is mounted.
        path = template if template is not None else self.template(environ)
        if path is None:
            path = route(environ.get("PATH_INFO", ""))
        return route(environ.get("SCRIPT_NAME", "")) + path


def _event_content(environ: Environ, limit: int) -> Content | None:
    return event_content_said(
        environ.get("CONTENT_TYPE"),
        environ.get("CONTENT_LENGTH"),
        environ.get("HTTP_CONTENT_ENCODING"),
        environ.get("HTTP_CE_ID"),
        limit,
    )


def _is_file(answer: Any, environ: Environ) -> bool:
    """Whether the server may send it by itself: ``wsgi.file_wrapper`` made it of a file."""
    wrapper = environ.get(_FILE_WRAPPER)
    if wrapper is None or isinstance(wrapper, type):
        return wrapper is not None and isinstance(answer, wrapper)
    # A function, as uWSGI's, answers with the file that it was given, and remembers it.
    return hasattr(answer, "read")


def _headers(environ: Environ) -> list[tuple[bytes, bytes]]:
    headers = [
        (name[len(_PREFIX) :].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in environ.items()
        if name.startswith(_PREFIX) and isinstance(value, str)
    ]
    bare = [(name, environ.get(key)) for key, name in _BARE.items()]
    return headers + [(name, value.encode("latin-1")) for name, value in bare if value]


if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy  # cannot be subscripted before wrapt 2


class _Input(_Proxy):
    """The server's ``wsgi.input``, of which the exchange sees what is read."""

    def __init__(self, stream: Any, exchange: Exchange) -> None:
        super().__init__(stream)
        self._self_exchange = exchange

    def read(self, *args: Any) -> bytes:
        chunk: bytes = self.__wrapped__.read(*args)
        asked = args[0] if args and args[0] is not None else -1
        # Less than was asked for may be all there is at the moment; nothing is the end.
        return self._passed(chunk, last=asked < 0 or (asked > 0 and not chunk))

    @property
    def readinto(self) -> Callable[[Any], int | None]:
        # Not in PEP 3333, nor in uWSGI: applications ask whether it is there.
        readinto = self.__wrapped__.readinto

        def passed(buffer: Any) -> int | None:
            count: int | None = readinto(buffer)
            read = bytes(memoryview(buffer)[: count or 0])
            self._passed(read, last=not count and len(buffer) > 0)
            return count

        return passed

    def readline(self, *args: Any) -> bytes:
        line: bytes = self.__wrapped__.readline(*args)
        return self._passed(line, last=not line and args[:1] != (0,))

    def readlines(self, *args: Any) -> list[bytes]:
        lines: list[bytes] = self.__wrapped__.readlines(*args)
        self._passed(b"".join(lines), last=not args)
        return lines

    def __iter__(self) -> Iterator[bytes]:
        for line in self.__wrapped__:
            yield self._passed(line, last=False)
        self._passed(b"", last=True)

    def _passed(self, chunk: bytes, *, last: bool) -> bytes:
        exchange = self._self_exchange
        if exchange.reading:
            with guard:
                exchange.passed(chunk, last=last)
        return chunk


class _Response:
    """What an application answers, and the exchange that ends with it, if it is one."""

    __slots__ = ("_exchange", "_start", "_status", "streams")

    def __init__(self, start: StartResponse, exchange: Exchange | None) -> None:
        self._start = start
        self._exchange = exchange
        self._status = 0
        self.streams = False

    def start(self, status: str, headers: Any, *rest: Any, **named: Any) -> Any:
        with guard:
            self._status = int(status[:3])
            pairs = pairs_of(headers)
            self.streams = is_event_stream(pairs)
            if self._exchange is not None:
                self._exchange.answers(pairs)
        return self._start(status, headers, *rest, **named)

    def answer(self, answer: Any, environ: Environ) -> Any:
        whole = isinstance(answer, list | tuple)
        if not whole and not _is_file(answer, environ):
            return _Answer(answer, self)
        if whole:
            self.passed(b"".join(answer), last=True)
        self.end(None)
        return answer

    def begin(self) -> None:
        if self._exchange is not None:
            with guard:
                self._exchange.goes_on()

    def passed(self, chunk: bytes, *, last: bool = False) -> None:
        if self._exchange is not None:
            with guard:
                self._exchange.answered(chunk, last=last)

    def end(self, error: BaseException | None) -> None:
        if self._exchange is not None:
            self._exchange.end(error, self._status)


class _Answer(_Proxy):
    """The application's iterable, which ends the exchange when the server closes it."""

    def __init__(self, answer: Iterable[bytes], response: _Response) -> None:
        super().__init__(answer)
        self._self_response = response

    def __iter__(self) -> Iterator[bytes]:
        response = self._self_response
        response.begin()
        try:
            for chunk in self.__wrapped__:
                response.passed(chunk)
                yield chunk
        except Exception as error:
            response.end(error)
            raise
        response.passed(b"", last=True)

    def close(self) -> None:
        try:
            close = getattr(self.__wrapped__, "close", None)
            if close is not None:
                close()
        finally:
            self._self_response.end(None)


class _Events(_Proxy):
    """A stream of server-sent events, each perhaps an envelope."""

    def __init__(
        self, answer: Iterable[bytes], wrapping: Wrapping, channel: Callable[[], str]
    ) -> None:
        super().__init__(answer)
        self._self_wrapping = wrapping
        self._self_channel = channel

    def __iter__(self) -> Iterator[bytes]:
        instrumenter, adapter = self._self_wrapping.instrumenter, self._self_wrapping.adapter
        stream = EventStream(instrumenter.max_body_bytes)
        for chunk in self.__wrapped__:
            with guard:
                for data in stream.passed(chunk):
                    sending = instrumenter.send(Message(self._self_channel(), data), adapter)
                    if sending is not None:
                        sending.end(None)
            yield chunk
