"""Frameworks that read requests by objects of their own, and those that find routes by a call."""

from __future__ import annotations

import inspect

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import wrapt

from otelope.core.adapter import Wrapper
from otelope.core.call import Call
from otelope.core.callbacks import is_asynchronous
from otelope.core.carriers import HTTP
from otelope.core.exchange import (
    Conversation,
    Exchange,
    current_exchange,
    current_handling,
)
from otelope.core.guard import guard
from otelope.core.http import Pairs, event_content, pairs_of
from otelope.core.sites.wrapping import Wrapping


class Request(NamedTuple):
    """
    A request as a framework has it.

    Args:
        headers: As pairs of bytes.
        route: The route's template, or the path without ids; asked when the body has been read.
        source: What its body is read from, where `Read` says what has been read.
        body: Where the framework has read it already.
        talks: Whether it opens a WebSocket, though no header says so.
    """

    headers: Pairs
    route: Callable[[], str]
    source: Any = None
    body: bytes | None = None
    talks: bool = False


class Response(NamedTuple):
    """
    A response, or a part of it.

    Args:
        headers: As pairs of bytes.
        body: Of this part.
        last: Whether it ends with that.
    """

    headers: Pairs
    body: bytes
    last: bool = True


def response_of(answer: Any) -> Response | None:
    """The response of a framework whose ``headers`` are text; None where its body is not whole."""
    body = getattr(answer, "body", None)
    if not isinstance(body, bytes):
        return None
    headers = pairs_of(answer.headers)
    media_type = getattr(answer, "content_type", None)
    if media_type:
        headers.append((b"content-type", media_type.encode()))
    return Response(headers, body)


def status_of(answer: Any, _: Call) -> int:
    """Its status; 0 where it has none, as what handles a request by itself."""
    status = getattr(answer, "status", None) or getattr(answer, "status_code", None)
    return status if isinstance(status, int) else 0


@dataclass(frozen=True)
class Serve:
    """
    A function within which the application handles a request.

    Args:
        target: ``module:Class.method``.
        request: What it handles; None where it is none.
        status: Of the response, given what the function answers or raises, and the call; 0 where
            these do not say.
        response: What the function answers, where that is a response whose body is whole.
        opened: The method of the call's instance, called within the function, in which
            OpenTelemetry's own instrumentation of the library opens its span: where that is
            active, a body that was read already is delivered when the method has ended.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    request: Callable[[Call], Request | None]
    status: Callable[[Any, Call], int] = status_of
    response: Callable[[Any], Response | None] = response_of
    opened: str = ""
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def serve(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            exchange = self._begin(wrapping, call)
            if exchange is None:
                return wrapped(*args, **kwargs)
            try:
                answer = call.on(wrapped, instance)(*args, **kwargs)
            except BaseException as error:
                self._end(exchange, call, error, error)
                raise
            self._end(exchange, call, answer, None)
            return answer

        async def serve_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            exchange = self._begin(wrapping, call)
            if exchange is None:
                return await wrapped(*args, **kwargs)
            try:
                answer = await call.on(wrapped, instance)(*args, **kwargs)
            except BaseException as error:
                self._end(exchange, call, error, error)
                raise
            self._end(exchange, call, answer, None)
            return answer

        return serve_async if wrapping.asynchronous else serve

    def _begin(self, wrapping: Wrapping, call: Call) -> Exchange | Conversation | None:
        exchange = None
        with guard:
            request = self.request(call)
            if request is None:
                return None
            content = event_content(request.headers, wrapping.instrumenter.max_body_bytes)
            if content is None:
                if request.talks or HTTP.get(request.headers, "upgrade"):
                    return Conversation(wrapping, request.route)
            else:
                exchange = Exchange(wrapping, content, lambda found: found or request.route())
                exchange.source = request.source
                if request.body is not None:
                    read = partial(exchange.passed, request.body, last=True)
                    if self.opened and wrapping.adapter.sends_traced():
                        call.instance = _Opening(call.instance, self.opened, read)
                    else:
                        read()
        return exchange

    def _end(
        self,
        exchange: Exchange | Conversation,
        call: Call,
        answer: Any,
        error: BaseException | None,
    ) -> None:
        status = 0
        with guard:
            status = self.status(answer, call)
            response = self.response(answer)
            if response is not None and isinstance(exchange, Exchange):
                exchange.responds(response.headers, response.body, last=response.last)
        # Many frameworks answer by raising: what has a status is no failure by itself.
        exchange.end(None if status else error, status)


if TYPE_CHECKING:
    _Proxy = wrapt.ObjectProxy[Any]
else:
    _Proxy = wrapt.ObjectProxy  # cannot be subscripted before wrapt 2


class _Opening(_Proxy):
    """What handles a request, for the function that calls the method where a span is opened."""

    def __init__(self, handler: Any, method: str, opened: Callable[[], None]) -> None:
        super().__init__(handler)
        self._self_method = method
        self._self_opened = opened

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        return partial(_open, found, self._self_opened) if name == self._self_method else found


def _open(method: Callable[..., Any], opened: Callable[[], None], *args: Any) -> Any:
    answer = method(*args)
    if inspect.isawaitable(answer):
        return _opened_when(answer, opened)
    with guard:
        opened()
    return answer


async def _opened_when(awaitable: Awaitable[Any], opened: Callable[[], None]) -> Any:
    answer = await awaitable
    with guard:
        opened()
    return answer


@dataclass(frozen=True)
class Read:
    """
    A function by which the application reads the body of the request that it handles.

    Args:
        target: ``module:Class.method``.
        source: The `Request.source` that it reads, given the call.
        body: What it has read, given the answer.
        last: Whether the body ends with that, given the answer and the call. So it does where an
            asynchronous iterator ends.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    source: Callable[[Call], Any] = lambda call: call.instance
    body: Callable[[Any], bytes] = lambda answer: answer
    last: Callable[[Any, Call], bool] = lambda *_: False
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def read(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            answer = wrapped(*args, **kwargs)
            exchange = current_exchange()
            if exchange is not None and exchange.reading:
                call = Call(wrapping.parameters, instance, args, kwargs)
                with guard:
                    if exchange.source is self.source(call):
                        exchange.passed(self.body(answer), last=self.last(answer, call))
            return answer

        async def read_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            exchange = current_exchange()
            if exchange is None or not exchange.reading:
                return await wrapped(*args, **kwargs)
            call = Call(wrapping.parameters, instance, args, kwargs)
            try:
                answer = await wrapped(*args, **kwargs)
            except StopAsyncIteration:
                with guard:
                    if exchange.source is self.source(call):
                        exchange.passed(b"", last=True)
                raise
            with guard:
                if exchange.source is self.source(call):
                    exchange.passed(self.body(answer), last=self.last(answer, call))
            return answer

        return read_async if wrapping.asynchronous else read


@dataclass(frozen=True)
class Route:
    """
    A call by which a framework finds the route of the request that it handles.

    Args:
        target: ``module:Class.method``.
        template: The route's template, given the answer; None where that is none.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    template: Callable[[Any], str | None]
    parameters: str = ""

    def wrapper(self, _: Wrapping) -> Wrapper:
        def found(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            answer = wrapped(*args, **kwargs)
            exchange = current_exchange()
            if exchange is not None:
                with guard:
                    template = self.template(answer)
                    if template is not None:
                        exchange.is_routed(template)
            return answer

        return found


@dataclass(frozen=True)
class Respond:
    """
    A call by which a framework sends the response to the request that it handles.

    Args:
        target: ``module:Class.method``.
        response: The response; None where its body is not whole.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    response: Callable[[Call], Response | None]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        return _noting(wrapping, current_exchange, self._note)

    def _note(self, exchange: Exchange, call: Call) -> None:
        response = self.response(call)
        if response is not None:
            exchange.responds(response.headers, response.body, last=response.last)


@dataclass(frozen=True)
class Catch:
    """
    A call by which a framework takes what the application raised, to answer in its stead.

    Where the answer says that the server failed, the handling failed with it.

    Args:
        target: ``module:Class.method``.
        error: What was raised; None where nothing was.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    error: Callable[[Call], BaseException | None]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        return _noting(wrapping, current_handling, self._note)

    def _note(self, handling: Exchange | Conversation, call: Call) -> None:
        error = self.error(call)
        if error is not None:
            handling.caught(error)


def _noting(
    wrapping: Wrapping,
    current: Callable[[], Any],
    note: Callable[[Any, Call], None],
) -> Wrapper:
    """Makes the call, having noted what it says where a request is handled."""

    def noting(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
        handling = current()
        if handling is not None:
            with guard:
                note(handling, Call(wrapping.parameters, instance, args, kwargs))
        return wrapped(*args, **kwargs)

    return noting


@dataclass(frozen=True)
class Find:
    """
    A call that answers with the function within which the application handles a request.

    For frameworks whose own functions around that cannot be wrapped.

    Args:
        target: ``module:Class.method``.
        handler: The function, given the answer.
        answer: The answer with another one in its place.
        serve: What it does, its target and parameters aside.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    handler: Callable[[Any], Any]
    answer: Callable[[Any, Any], Any]
    serve: Serve
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        serving = [
            self.serve.wrapper(replace(wrapping, asynchronous=asynchronous))
            for asynchronous in (False, True)
        ]

        def find(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            answer = wrapped(*args, **kwargs)
            with guard:
                handler = self.handler(answer)
                ours = wrapt.FunctionWrapper(handler, serving[is_asynchronous(handler)])
                return self.answer(answer, ours)
            return answer

        return find
