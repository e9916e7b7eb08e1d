"""Functions within which the application handles messages."""

from __future__ import annotations

import contextlib

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt

from msgspec.structs import replace

from otelope.core.adapter import Adapter, Wrapper
from otelope.core.call import Call
from otelope.core.callbacks import held_in, is_asynchronous, root_of
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.operation import Delivery, handling_of
from otelope.core.sites.wrapping import Wrapping


_NOTHING: contextlib.nullcontext[None] = contextlib.nullcontext()
_within: ContextVar[tuple[Adapter, str | None] | None] = ContextVar("otelope.within", default=None)


@dataclass(frozen=True)
class Process:
    """
    A call that registers a callback for messages.

    A callback that is absent stays absent; one of the library's own is not the application's, and
    one that a method passes on to another is wrapped once.

    Args:
        target: ``module:Class.method``.
        message: What the callback is called with; same parameters as the callback.
        callback: The name of the parameter that takes it, or ``**callbacks`` by channel.
        channel: Where the messages come from, where they do not say so themselves.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    message: Callable[..., Message | None]
    callback: str
    channel: Callable[[Call], str | None] = lambda _: None
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        root = self.target.partition(".")[0].partition(":")[0]

        def register(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            with guard:
                callback = call[self.callback]
                channel = self.channel(call)
                message = partial(self._from, channel) if channel else self.message
                held = held_in(callback, self.callback)
                if held is not None:
                    held.cell_contents = handler_of(held.cell_contents, message)
                elif isinstance(callback, dict):
                    call[self.callback] = {
                        name: handler_of(each, message) for name, each in callback.items()
                    }
                elif callable(callback):
                    call[self.callback] = handler_of(callback, message)
            return wrapped(*call.args, **call.kwargs)

        def handler_of(callback: Any, message: Callable[..., Message | None]) -> Any:
            # By its type: a wrapped object pretends to be what it wraps.
            passed_on = type(callback) is _Handler
            if callable(callback) and not passed_on and root_of(callback) != root:
                return self._delivered(wrapping, callback, message)
            return callback

        return register

    def _from(self, channel: str, /, *args: Any, **kwargs: Any) -> Message | None:
        message = self.message(*args, **kwargs)
        if message is None or message.channel is not None:
            return message
        return replace(message, channel=channel)

    def _delivered(
        self,
        wrapping: Wrapping,
        callback: Callable[..., Any],
        message: Callable[..., Message | None],
    ) -> Any:
        def handle(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            with _handled(wrapping, message, *args, **kwargs) or _NOTHING:
                return wrapped(*args, **kwargs)

        async def handle_async(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            with _handled(wrapping, message, *args, **kwargs) or _NOTHING:
                return await wrapped(*args, **kwargs)

        return _Handler(callback, handle_async if is_asynchronous(callback) else handle)


@dataclass(frozen=True)
class Handle:
    """
    A function of the library within which the application handles one message.

    For libraries that find its callbacks in many places: attributes, lists, methods of a subclass.
    The message is handled once, by all of them.

    Args:
        target: ``module:Class.method``.
        message: What is handled; None where this call is not the application's.
        failure: What the function's answer says of how the handling failed, else None.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    message: Callable[[Call], Message | None]
    failure: Callable[[Any], BaseException | None] = lambda _: None
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def handle(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            with _handled(wrapping, self.message, call) or _NOTHING as delivery:
                answer = wrapped(*args, **kwargs)
                self._told(delivery, answer)
                return answer

        async def handle_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            with _handled(wrapping, self.message, call) or _NOTHING as delivery:
                answer = await wrapped(*args, **kwargs)
                self._told(delivery, answer)
                return answer

        return handle_async if wrapping.asynchronous else handle

    def _told(self, delivery: Delivery | None, answer: Any) -> None:
        if delivery is None:
            return
        with guard:
            error = self.failure(answer)
            if error is not None:
                delivery.end_within(error)
                delivery.end(error)


@dataclass(frozen=True)
class Within:
    """
    A function of the library within which what the application handles is from one channel.

    For messages that do not say it, and callbacks that are registered before anything knows it.

    Args:
        target: ``module:Class.method``.
        channel: Where they are from.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    channel: Callable[[Call], str | None]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def run(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            with self._from(wrapping.adapter, call):
                return wrapped(*args, **kwargs)

        async def run_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            with self._from(wrapping.adapter, call):
                return await wrapped(*args, **kwargs)

        return run_async if wrapping.asynchronous else run

    @contextlib.contextmanager
    def _from(self, adapter: Adapter, call: Call) -> Iterator[None]:
        before = _within.get()
        with guard:
            _within.set((adapter, self.channel(call)))
        try:
            yield
        finally:
            _within.set(before)


@dataclass(frozen=True)
class Fail:
    """
    A call by which the library notes what the application raised, where it goes no further.

    It ends the handling: what the library does then, such as trying again, comes after it.

    Args:
        target: ``module:Class.method``.
        receipt: The `Message.receipt` of what was handled.
        error: What was raised; None where nothing was.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    receipt: Callable[[Call], Any]
    error: Callable[[Call], BaseException | None]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def fail(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            with guard:
                error = self.error(call)
                delivery = handling_of(self.receipt(call)) if error is not None else None
                if delivery is not None:
                    delivery.end_within(error)
                    delivery.end(error)
            return wrapped(*args, **kwargs)

        return fail


def _handled(
    wrapping: Wrapping, message_of: Callable[..., Message | None], /, *args: Any, **kwargs: Any
) -> Delivery | None:
    """The delivery that a block is, which is current in it; None where it is none."""
    delivery = None
    with guard:
        message = message_of(*args, **kwargs)
        if message is not None:
            around = _within.get()
            if message.channel is None and around and around[0] is wrapping.adapter:
                message = replace(message, channel=around[1])
            delivery = wrapping.instrumenter.deliver([message], wrapping.adapter)
        if delivery is not None:
            delivery.attach()
    return delivery


if TYPE_CHECKING:
    _FunctionWrapper = wrapt.FunctionWrapper[Any, Any]
else:
    _FunctionWrapper = wrapt.FunctionWrapper  # cannot be subscripted before wrapt 2


class _Handler(_FunctionWrapper):
    """An application's callback as the library gets it."""
