"""Calls that send messages."""

from __future__ import annotations

import inspect
import itertools

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from otelope.core.adapter import Wrapper
from otelope.core.call import Call
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.operation import type_of
from otelope.core.sender import Sending, Together
from otelope.core.sites.wrapping import Wrapping


_CANCELLED = "cancelled"


@dataclass(frozen=True)
class Send:
    """
    A call that sends one message.

    Where it is no coroutine function but answers with a coroutine, that sends.

    Args:
        target: ``module:Class.method``.
        message: What is sent; None when this call sends no message.
        stamp: Puts headers into the call; by default, as its argument ``headers``. Where they are
            a part of what the method is called on, into a copy as the call's instance.
        answered: The error that the library's answer says, such as an HTTP status, else None.
        headers: The argument that takes the headers where it is called otherwise.
        future: Whether the answer is a future of what the broker says: told as failed if that is.
        told: The parameter that takes a callback for what the broker says, and the error that this
            is, given what the callback gets, else None.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    message: Callable[[Call], Message | None]
    stamp: Callable[[Call, Any], None] | None = None
    answered: Callable[[Any], str | None] = lambda _: None
    headers: str = "headers"
    future: bool = False
    told: tuple[str, Callable[..., str | None]] | None = None
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        parameters = wrapping.parameters

        def send(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(parameters, instance, args, kwargs)
            sending = self._begin(wrapping, call)
            if sending is None:
                return wrapped(*args, **kwargs)
            with sending:
                answer = call.on(wrapped, instance)(*call.args, **call.kwargs)
                if inspect.iscoroutine(answer):
                    sending.leave()
                    return self._awaited(wrapping, call, sending, answer)
                return self._told(wrapping, call, sending, answer)

        async def send_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(parameters, instance, args, kwargs)
            sending = self._begin(wrapping, call)
            if sending is None:
                return await wrapped(*args, **kwargs)
            with sending:
                answer = await call.on(wrapped, instance)(*call.args, **call.kwargs)
                return self._told(wrapping, call, sending, answer)

        return send_async if wrapping.asynchronous else send

    def _begin(self, wrapping: Wrapping, call: Call) -> Sending | None:
        sending = None
        with guard:
            message = self.message(call)
            if message is not None:
                sending = wrapping.instrumenter.send(message, wrapping.adapter)
            if sending is not None and message is not None and wrapping.adapter.carrier.headers:
                headers = wrapping.adapter.carrier.written(message.headers, sending.fields())
                if self.stamp is not None:
                    self.stamp(call, headers)
                else:
                    call[self.headers] = headers
            if sending is not None and self.told is not None:
                name, error_of = self.told
                if callable(callback := call[name]):
                    call[name] = partial(_called_back, sending, error_of, callback)
        return sending

    async def _awaited(
        self, wrapping: Wrapping, call: Call, sending: Sending, answer: Coroutine[Any, Any, Any]
    ) -> Any:
        with sending:
            return self._told(wrapping, call, sending, await answer)

    def _told(self, wrapping: Wrapping, call: Call, sending: Sending, answer: Any) -> Any:
        with guard:
            sending.error_type = self.answered(answer) or sending.error_type
            wrapping.instrumenter.sent.note(call.instance, sending)
            if self.future:
                answer.add_done_callback(partial(_confirmed, sending))
        return answer


def _confirmed(sending: Sending, future: Any) -> None:
    # In whatever thread the library hears from the broker.
    with guard:
        if future.cancelled():
            sending.take_back(_CANCELLED)
        elif (error := future.exception()) is not None:
            sending.take_back(type_of(error))


def _called_back(
    sending: Sending,
    error_of: Callable[..., str | None],
    callback: Callable[..., Any],
    *args: Any,
    **kwargs: Any,
) -> Any:
    with guard:
        error_type = error_of(*args, **kwargs)
        if error_type is not None:
            sending.take_back(error_type)
    return callback(*args, **kwargs)


@dataclass(frozen=True)
class SendMany:
    """
    A call that sends a list of messages, each with headers and a fate of its own.

    Where it is no coroutine function but answers with a coroutine, that sends.

    Args:
        target: ``module:Class.method``.
        messages: What is sent, in the call's order; None for what is no message. Of an iterator,
            it puts a list into the call.
        stamp: Puts headers into the call: for each message its own, None where they stay.
        answered: For each message the error that the library's answer says, else None.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    messages: Callable[[Call], Iterable[Message | None]]
    stamp: Callable[[Call, Sequence[Any]], None] = lambda *_: None
    answered: Callable[[Any, Call], Iterable[str | None]] = lambda *_: ()
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        parameters = wrapping.parameters

        def send(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(parameters, instance, args, kwargs)
            with Together() as together:
                if not self._begin(wrapping, call, together):
                    return wrapped(*call.args, **call.kwargs)
                answer = wrapped(*call.args, **call.kwargs)
                if inspect.iscoroutine(answer):
                    together.leave()
                    return self._awaited(together, call, answer)
                return self._told(together, call, answer)

        async def send_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(parameters, instance, args, kwargs)
            with Together() as together:
                if not self._begin(wrapping, call, together):
                    return await wrapped(*call.args, **call.kwargs)
                return self._told(together, call, await wrapped(*call.args, **call.kwargs))

        return send_async if wrapping.asynchronous else send

    def _begin(self, wrapping: Wrapping, call: Call, together: Together) -> bool:
        adapter = wrapping.adapter
        carrier = adapter.carrier
        with guard:
            stamps = []
            for message in self.messages(call):
                sending = headers = None
                # One that fails in us costs the others nothing.
                with guard:
                    if message is not None:
                        sending = wrapping.instrumenter.send(message, adapter)
                    if sending is not None and message is not None and carrier.headers:
                        headers = carrier.written(message.headers, sending.fields())
                together.add(sending)
                stamps.append(headers)
            together.depart()
            if any(headers is not None for headers in stamps):
                self.stamp(call, stamps)
        return len(together) > 0

    async def _awaited(
        self, together: Together, call: Call, answer: Coroutine[Any, Any, Any]
    ) -> Any:
        with together:
            together.depart()
            return self._told(together, call, await answer)

    def _told(self, together: Together, call: Call, answer: Any) -> Any:
        with guard:
            together.answer(self.answered(answer, call))
        return answer


def send_request(
    target: str,
    messages: Callable[[Call], Sequence[Message]],
    stamp: Callable[[Call, Any], None],
    answered: Callable[[Any], str | None],
) -> SendMany:
    """
    A call that sends a request of HTTP: one message, or several that have no headers of their own.

    Args:
        target: ``module:Class.method``.
        messages: What is sent.
        stamp: Puts headers into the call.
        answered: The error that the response says of all, else None.
    """

    def stamp_one(call: Call, stamps: Sequence[Any]) -> None:
        if len(stamps) == 1:
            stamp(call, stamps[0])

    return SendMany(
        target, messages, stamp_one, lambda answer, _: itertools.repeat(answered(answer))
    )
