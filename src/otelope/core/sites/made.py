"""Functions that a library makes, within which the application handles messages."""

from __future__ import annotations

import contextlib

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import wrapt

from otelope.core.adapter import Wrapper
from otelope.core.call import Call, Parameters, parameters_of
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.operation import Delivery
from otelope.core.sites.wrapping import Wrapping


if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since 3.11; needed by type checkers only

_NOTHING: contextlib.nullcontext[None] = contextlib.nullcontext()


@dataclass(frozen=True)
class Make:
    """
    A function of the library that makes one within which the application handles a message.

    Where OpenTelemetry's own instrumentation of the library is active, the handling begins where
    `Opened` says, so that it stands inside of theirs.

    Args:
        target: ``module:Class.method``.
        message: What is handled, given the call that makes the function, and the function's own;
            None where that is not the application's.
        failure: What the function's answer says of how the handling failed, else None.
        sends: Whether the function is also the sending of what it handles, given the call that
            makes it: then no broker is between.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    message: Callable[[Call, Call], Message | None]
    failure: Callable[[Any], BaseException | None] = lambda _: None
    sends: Callable[[Call], bool] = lambda _: False
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def make(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            made = wrapped(*args, **kwargs)
            with guard:
                if type(made) is not _Made:  # by its type: it pretends to be what it wraps
                    call = Call(wrapping.parameters, instance, args, kwargs)
                    return _Made(made, self._handling(wrapping, call, parameters_of(made)))
            return made

        return make

    def _handling(self, wrapping: Wrapping, making: Call, parameters: Parameters) -> Wrapper:
        sends = self.sends(making)

        def handle(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            adapter, message, sending = wrapping.adapter, None, None
            with guard:
                message = self.message(making, Call(parameters, instance, args, kwargs))
                if message is not None and sends:
                    sending = wrapping.instrumenter.send(message, adapter)
            if message is None:
                return wrapped(*args, **kwargs)
            with sending or _NOTHING, _Handling(wrapping, message) as handling:
                answer = wrapped(*args, **kwargs)
                with guard:
                    handling.error = self.failure(answer)
                return answer

        return handle


@dataclass(frozen=True)
class Opened:
    """
    A call in which OpenTelemetry's own instrumentation opens the span of a handling of `Make`.

    Args:
        target: ``module:Class.method``.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    parameters: str = ""

    def wrapper(self, _: Wrapping) -> Wrapper:
        def opened(wrapped: Wrapper, __: Any, args: Any, kwargs: Any) -> Any:
            answer = wrapped(*args, **kwargs)
            handling = _due.get()
            if handling is not None:
                handling.begin()
            return answer

        return opened


class _Handling:
    """
    The handling of a message that a block is, from its beginning or from `begin` on.

    Attributes:
        error: How it failed, where the block itself raises nothing.
    """

    __slots__ = ("_around", "_delivery", "_message", "_wrapping", "error")

    def __init__(self, wrapping: Wrapping, message: Message) -> None:
        self._wrapping = wrapping
        self._message = message
        self._delivery: Delivery | None = None
        self._around: _Handling | None = None
        self.error: BaseException | None = None

    def begin(self) -> None:
        """Make it current here and now, if it is not yet."""
        with guard:
            if self._delivery is None:
                wrapping = self._wrapping
                self._delivery = wrapping.instrumenter.deliver([self._message], wrapping.adapter)
                if self._delivery is not None:
                    self._delivery.attach()

    def __enter__(self) -> Self:
        self._around = _due.get()
        _due.set(self)
        if not self._wrapping.adapter.sends_traced():
            self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _due.set(self._around)
        with guard:
            if self._delivery is not None:
                self._delivery.end_within(error or self.error)
                self._delivery.end(error or self.error)


_due: ContextVar[_Handling | None] = ContextVar("otelope.due", default=None)


if TYPE_CHECKING:
    _FunctionWrapper = wrapt.FunctionWrapper[Any, Any]
else:
    _FunctionWrapper = wrapt.FunctionWrapper  # cannot be subscripted before wrapt 2


class _Made(_FunctionWrapper):
    """A function that the library made, as it gets it."""
