"""Calls that hand messages over, and those that end the handling of what was."""

from __future__ import annotations

import inspect

from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from otelope.core.adapter import Wrapper
from otelope.core.call import Call
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.operation import ambient_delivery
from otelope.core.sites.wrapping import Wrapping


_REFUSED = "rejected"


@dataclass(frozen=True)
class Receive:
    """
    A call that hands messages over: a poll, a get, the step of an asynchronous iterator.

    The delivery lasts until the next hand-over by the same consumer, its commit, acknowledgement,
    close or garbage collection. Where it is no coroutine function but answers with a coroutine,
    that hands over.

    Args:
        target: ``module:Class.method``.
        messages: What was handed over, given the library's answer and the call.
        consumer: Whose hand-over it is; by default, what the method is called on.
        through: The consumer's own consumer that it receives through, whose hand-overs are then
            not the application's.
        shared: Whether several threads or tasks receive by the consumer at once: then the next
            hand-over is the next one in the same thread or task.
        source: What of a shared consumer this call asks, where it can ask for many: a handling
            lasts while it asks elsewhere in vain.
        at_once: Whether what comes is an answer to what the application is about: then it is told
            as handled by whoever waits for it, and is never current.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    messages: Callable[[Any, Call], Iterable[Message]]
    consumer: Callable[[Any], Any] = lambda instance: instance
    through: Callable[[Any], Any] | None = None
    shared: bool = False
    source: Callable[[Call], Any] = lambda _: None
    at_once: bool = False
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        inner = wrapping.hand_overs.inner

        def receive(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            if inner and instance in inner:
                return wrapped(*args, **kwargs)
            call = Call(wrapping.parameters, instance, args, kwargs)
            self._end(wrapping, call)
            answer = wrapped(*args, **kwargs)
            if inspect.iscoroutine(answer):
                return self._awaited(wrapping, call, answer)
            self._begin(wrapping, call, answer)
            return answer

        async def receive_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            if inner and instance in inner:
                return await wrapped(*args, **kwargs)
            call = Call(wrapping.parameters, instance, args, kwargs)
            self._end(wrapping, call)
            answer = await wrapped(*args, **kwargs)
            self._begin(wrapping, call, answer)
            return answer

        return receive_async if wrapping.asynchronous else receive

    def _end(self, wrapping: Wrapping, call: Call) -> None:
        if self.at_once:
            return
        with guard:
            if self.through is not None:
                wrapping.hand_overs.inner.add(self.through(call.instance))
            consumer = self.consumer(call.instance)
            if self.shared:
                wrapping.hand_overs.end_here(consumer, self.source(call))
            else:
                wrapping.hand_overs.end(consumer)

    async def _awaited(
        self, wrapping: Wrapping, call: Call, answer: Coroutine[Any, Any, Any]
    ) -> Any:
        got = await answer
        self._begin(wrapping, call, got)
        return got

    def _begin(self, wrapping: Wrapping, call: Call, answer: Any) -> None:
        with guard:
            messages = self.messages(answer, call)
            delivery = wrapping.instrumenter.deliver(messages, wrapping.adapter)
            if self.at_once:
                if delivery is not None:
                    delivery.end()
            elif self.shared:
                consumer = self.consumer(call.instance)
                wrapping.hand_overs.begin_here(consumer, delivery, self.source(call))
            else:
                wrapping.hand_overs.begin(self.consumer(call.instance), delivery)


@dataclass(frozen=True)
class Iterate:
    """
    A call that returns a generator of messages, asynchronous or not.

    Each is delivered until the next one is asked for, or as `Receive` says.

    Args:
        target: ``module:Class.method``.
        messages: What one item of the generator holds.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    messages: Callable[[Any, Call], Iterable[Message]]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def iterate(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            call = Call(wrapping.parameters, instance, args, kwargs)
            items = wrapped(*args, **kwargs)
            if inspect.isasyncgen(items):
                return self._delivered_async(wrapping, instance, call, items)
            return self._delivered(wrapping, instance, call, items)

        return iterate

    def _delivered(
        self, wrapping: Wrapping, instance: Any, call: Call, items: Generator[Any]
    ) -> Generator[Any]:
        try:
            for item in items:
                self._begin(wrapping, instance, call, item)
                yield item
                wrapping.hand_overs.end(instance)
        finally:
            wrapping.hand_overs.end(instance, abandoned=True)
            items.close()

    async def _delivered_async(
        self, wrapping: Wrapping, instance: Any, call: Call, items: AsyncGenerator[Any, Any]
    ) -> AsyncGenerator[Any, None]:
        try:
            async for item in items:
                self._begin(wrapping, instance, call, item)
                yield item
                wrapping.hand_overs.end(instance)
        finally:
            wrapping.hand_overs.end(instance, abandoned=True)
            await items.aclose()

    def _begin(self, wrapping: Wrapping, instance: Any, call: Call, item: Any) -> None:
        with guard:
            delivery = wrapping.instrumenter.deliver(self.messages(item, call), wrapping.adapter)
            wrapping.hand_overs.begin(instance, delivery)


@dataclass(frozen=True)
class Settle:
    """
    A call that ends the handling of what was handed over: a commit, an acknowledgement, a close.

    Called while an exception is handled, it says that the handling failed with it.

    Args:
        target: ``module:Class.method``.
        refuses: Whether it tells the broker that the message was not handled.
        consumers: Whose deliveries it ends; by default, those of what the method is called on.
        receipts: The `Message.receipt` of each message that it is about, where it is not about all
            that a consumer has: a delivery ends when it has no other.
        early: Whether it ends the handling before the call, which may go on in another task.
        abandons: Whether it is the library's own last word, as a finalizer: nobody said how the
            handling ended.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    refuses: bool = False
    consumers: Callable[[Any], Iterable[Any]] = lambda instance: (instance,)
    receipts: Callable[[Call], Collection[Any]] | None = None
    early: bool = False
    abandons: bool = False
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def settle(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            consumers, receipts = self._ended(wrapping, instance, args, kwargs)
            if self.early:
                self._end(wrapping, consumers, receipts)
            answer = wrapped(*args, **kwargs)
            if not self.early:
                self._end(wrapping, consumers, receipts)
            return answer

        async def settle_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            consumers, receipts = self._ended(wrapping, instance, args, kwargs)
            if self.early:
                self._end(wrapping, consumers, receipts)
            answer = await wrapped(*args, **kwargs)
            if not self.early:
                self._end(wrapping, consumers, receipts)
            return answer

        return settle_async if wrapping.asynchronous else settle

    def _ended(
        self, wrapping: Wrapping, instance: Any, args: Any, kwargs: Any
    ) -> tuple[Collection[Any], Collection[Any]]:
        # Before the call: a client that has been closed has forgotten its subscriptions.
        with guard:
            if self.receipts is not None:
                return (), self.receipts(Call(wrapping.parameters, instance, args, kwargs))
            return tuple(self.consumers(instance)), ()
        return (), ()

    def _end(
        self, wrapping: Wrapping, consumers: Collection[Any], receipts: Collection[Any]
    ) -> None:
        hand_overs = wrapping.hand_overs
        if receipts:
            hand_overs.settle(receipts, _REFUSED if self.refuses else None)
        for consumer in consumers:
            with guard:
                if self.refuses:
                    delivery = hand_overs.current(consumer) or ambient_delivery()
                    if delivery is not None:
                        delivery.fail(_REFUSED)
            hand_overs.end(consumer, abandoned=self.abandons)
