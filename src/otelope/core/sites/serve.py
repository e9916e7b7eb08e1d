"""Frameworks that read requests by objects of their own, and those that find routes by a call."""

from __future__ import annotations

import inspect

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

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


# Requests whose bodies other tasks read than those that handle them, by the ids of their sources:
# each keeps its source, and the task that handles it keeps it.
_read_elsewhere: WeakValueDictionary[int, Exchange] = WeakValueDictionary()


class Request(NamedTuple):
    """
    A request as a framework has it.

    Args:
        headers: As pairs of bytes.
        route: The route's template, or the path without ids; asked when the body has been read.
        source: What its body is read from, where `Read` says what has been read.
        body: Where the framework has read it already.
        talks: Whether it opens a WebSocket, though no header says so.
        handled_by: Where the framework hands the body to the application (`Read.handed`): the
            method of the call's instance that is called, within the function, when it is whole.
    """

    headers: Pairs
    route: Callable[[], str]
    source: Any = None
    body: bytes | None = None
    talks: bool = False
    handled_by: str = ""


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
    A function within which the application handles a request, or whose awaited answer does.

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
            if inspect.isawaitable(answer):
                return self._awaited(exchange, call, answer)
            self._end(exchange, call, answer, None)
            return answer

        # Where it is awaited: that may be in another task, and context, than where it is called.
        async def serve_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            return await serve(wrapped, instance, args, kwargs)

        return serve_async if wrapping.asynchronous else serve

    async def _awaited(
        self, exchange: Exchange | Conversation, call: Call, awaitable: Awaitable[Any]
    ) -> Any:
        try:
            answer = await awaitable
        except BaseException as error:
            self._end(exchange, call, error, error)
            raise
        self._end(exchange, call, answer, None)
        return answer

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
                elsewhere = bool(request.handled_by)
                exchange = Exchange(
                    wrapping,
                    content,
                    lambda found: found or request.route(),
                    routed=elsewhere,
                )
                exchange.source = request.source
                if elsewhere:
                    _read_elsewhere[id(request.source)] = exchange
                    handle = partial(_handle, exchange)
                    call.instance = _Within(call.instance, request.handled_by, handle)
                elif request.body is not None:
                    read = partial(exchange.passed, request.body, last=True)
                    if self.opened and wrapping.adapter.sends_traced():
                        opened = partial(_open, read)
                        call.instance = _Within(call.instance, self.opened, opened)
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


class _Within(_Proxy):
    """What handles a request, for the function that calls one of its methods: by what wraps it."""

    def __init__(self, handler: Any, method: str, wrapper: Callable[..., Any]) -> None:
        super().__init__(handler)
        self._self_method = method
        self._self_wrapper = wrapper

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        return partial(self._self_wrapper, found) if name == self._self_method else found


def _handle(exchange: Exchange, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with guard:
        exchange.is_routed()
        exchange.passed(b"", last=True)
    return method(*args, **kwargs)


def _open(opened: Callable[[], None], method: Callable[..., Any], *args: Any) -> Any:
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
        body: What it has read, given the answer; None where that is nothing.
        last: Whether the body ends with that, given the answer and the call. So it does where an
            asynchronous iterator ends.
        handed: Where it is the framework that reads, in another task than the one that handles
            the request, and hands the application what it has read: the parameter that has that.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    source: Callable[[Call], Any] = lambda call: call.instance
    body: Callable[[Any], bytes | None] = lambda answer: answer
    last: Callable[[Any, Call], bool] = lambda *_: False
    handed: str = ""
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        is_read = _read_elsewhere.__len__ if self.handed else _is_read_here

        def read(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            answer = wrapped(*args, **kwargs)
            if is_read():
                self._note(wrapping, Call(wrapping.parameters, instance, args, kwargs), answer)
            return answer

        # Much is read that is of no interest: what reads that is awaited as it is.
        def read_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            if not is_read():
                return wrapped(*args, **kwargs)
            call = Call(wrapping.parameters, instance, args, kwargs)
            return self._awaited(wrapping, call, wrapped(*args, **kwargs))

        return read_async if wrapping.asynchronous else read

    async def _awaited(self, wrapping: Wrapping, call: Call, awaitable: Awaitable[Any]) -> Any:
        try:
            answer = await awaitable
        except StopAsyncIteration:
            self._note(wrapping, call, None, ended=True)
            raise
        self._note(wrapping, call, answer)
        return answer

    def _note(self, wrapping: Wrapping, call: Call, answer: Any, *, ended: bool = False) -> None:
        with guard:
            source = self.source(call)
            exchange = _handed_on(source) if self.handed else current_exchange()
            if exchange is None or not exchange.reads(source, wrapping):
                return
            if ended:
                exchange.passed(b"", last=True)
            else:
                body = call[self.handed] if self.handed else self.body(answer)
                exchange.passed(body or b"", last=self.last(answer, call))


def _is_read_here() -> bool:
    exchange = current_exchange()
    return exchange is not None and exchange.reading


def _handed_on(source: Any) -> Exchange | None:
    """The request whose body is handed to the application from there, in whatever task."""
    return _read_elsewhere.get(id(source))


@dataclass(frozen=True)
class Lose:
    """
    A call by which a framework learns that the rest of a body that it hands over will not come.

    Args:
        target: ``module:Class.method``.
        source: As of `Read`.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    source: Callable[[Call], Any]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def lose(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            if _read_elsewhere:
                with guard:
                    source = self.source(Call(wrapping.parameters, instance, args, kwargs))
                    exchange = _handed_on(source)
                    if exchange is not None and exchange.reads(source, wrapping):
                        exchange.abandon()
            return wrapped(*args, **kwargs)

        return lose


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
    A call that answers with a function that cannot be wrapped where it stands.

    What it is wrapped by stays wherever the framework keeps the answer.

    Args:
        target: ``module:Class.method``.
        site: What the function is wrapped by.
        function: The function, given the answer; by default the answer itself, where it is of the
            name that is last in the site's target.
        answer: The answer with ours in its place.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    site: Serve | Read
    function: Callable[[Any], Any] | None = None
    answer: Callable[[Any, Any], Any] = lambda _, ours: ours
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        wrappers = [
            self.site.wrapper(replace(wrapping, asynchronous=asynchronous))
            for asynchronous in (False, True)
        ]
        function_of = self.function or self._named

        def find(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            answer = wrapped(*args, **kwargs)
            with guard:
                function = function_of(answer)
                if function is not None:
                    ours = wrapt.FunctionWrapper(function, wrappers[is_asynchronous(function)])
                    return self.answer(answer, ours)
            return answer

        return find

    def _named(self, answer: Any) -> Any:
        return answer if answer.__name__ == self.site.target.rpartition(".")[2] else None
