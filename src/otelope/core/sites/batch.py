"""Batches that an application fills first and sends later, to a channel unknown until then."""

from __future__ import annotations

import weakref

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otelope.core.adapter import Wrapper
from otelope.core.call import Call
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.sender import Ahead, Together
from otelope.core.sites.wrapping import Wrapping


# By what the application fills; what is never sent goes with it, untold.
_gathered: weakref.WeakKeyDictionary[Any, list[Ahead]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Gather:
    """
    A call that puts one message into the batch that it is called on.

    Its headers are written now; the envelope is told of, and its span made, when the batch is
    sent.

    Args:
        target: ``module:Class.method``.
        message: What is put in, without a channel; None when it is no message.
        taken: Whether the batch had room for it, given the library's answer.
        stamp: Puts headers into the call; by default, as its argument ``headers``.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    message: Callable[[Call], Message | None]
    taken: Callable[[Any], bool]
    stamp: Callable[[Call, Any], None] | None = None
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def gather(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            ahead = self._ahead(wrapping, call)
            answer = wrapped(*call.args, **call.kwargs)
            if ahead is not None:
                with guard:
                    if self.taken(answer):
                        _gathered.setdefault(instance, []).append(ahead)
            return answer

        return gather

    def _ahead(self, wrapping: Wrapping, call: Call) -> Ahead | None:
        ahead = None
        with guard:
            message = self.message(call)
            if message is not None:
                ahead = wrapping.instrumenter.ahead(message, wrapping.adapter)
            if ahead is not None and ahead.fields:
                headers = wrapping.adapter.carrier.written(ahead.message.headers, ahead.fields)
                if self.stamp is not None:
                    self.stamp(call, headers)
                else:
                    call["headers"] = headers
        return ahead


@dataclass(frozen=True)
class SendBatch:
    """
    A call that sends what was gathered in a batch.

    Args:
        target: ``module:Class.method``.
        batch: What was filled, and where it is sent.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    batch: Callable[[Call], tuple[Any, str]]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def send(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            with Together() as together:
                self._begin(wrapping, Call(wrapping.parameters, instance, args, kwargs), together)
                return wrapped(*args, **kwargs)

        async def send_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            with Together() as together:
                self._begin(wrapping, Call(wrapping.parameters, instance, args, kwargs), together)
                return await wrapped(*args, **kwargs)

        return send_async if wrapping.asynchronous else send

    def _begin(self, wrapping: Wrapping, call: Call, together: Together) -> None:
        # It stays gathered: it may have to be sent again.
        with guard:
            batch, channel = self.batch(call)
            for ahead in _gathered.get(batch, ()):
                sending = wrapping.instrumenter.send_ahead(ahead, channel, wrapping.adapter)
                together.add(sending)
                if sending is not None:
                    wrapping.instrumenter.sent.note(call.instance, sending)
            together.depart()
