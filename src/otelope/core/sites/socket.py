"""Functions by which applications talk over a WebSocket that `Serve` or `Asgi` has opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from otelope.core.adapter import Wrapper
from otelope.core.call import Call
from otelope.core.exchange import bare, current_conversation
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.sender import Sending
from otelope.core.sites.wrapping import Wrapping


def heard(body: Any) -> Message:
    """What came over the WebSocket of this thread or task, for a callback to handle."""
    conversation = current_conversation()
    return Message(conversation.channel() if conversation is not None else None, body)


@dataclass(frozen=True)
class Hear:
    """
    A coroutine by which the application receives the next message of a WebSocket.

    Args:
        target: ``module:Class.method``.
        message: What came, given the answer; None where it is none.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    message: Callable[[Any], Any] = lambda answer: answer
    parameters: str = ""

    def wrapper(self, _: Wrapping) -> Wrapper:
        async def hear(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            conversation = current_conversation()
            if conversation is None:
                return await wrapped(*args, **kwargs)
            conversation.asked()
            answer = await wrapped(*args, **kwargs)
            with guard:
                conversation.came(self.message(answer))
            return answer

        return hear


@dataclass(frozen=True)
class Say:
    """
    A call by which the application sends a message over a WebSocket.

    Args:
        target: ``module:Class.method``.
        message: What it sends, given the call.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    message: Callable[[Call], Any]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def say(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            sending = self._begin(wrapping, instance, args, kwargs)
            if sending is None:
                return wrapped(*args, **kwargs)
            with sending:
                return wrapped(*args, **kwargs)

        async def say_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            sending = self._begin(wrapping, instance, args, kwargs)
            if sending is None:
                return await wrapped(*args, **kwargs)
            with sending:
                return await wrapped(*args, **kwargs)

        return say_async if wrapping.asynchronous else say

    def _begin(self, wrapping: Wrapping, instance: Any, args: Any, kwargs: Any) -> Sending | None:
        with guard:
            body = self.message(Call(wrapping.parameters, instance, args, kwargs))
            conversation = current_conversation()
            if conversation is not None:
                return conversation.sending(body)
            # As to all who listen, from elsewhere: the socket does not say which it is.
            return wrapping.instrumenter.send(Message(None, body), bare(wrapping.adapter))
        return None
