"""The places where messages pass through a library, and what becomes of them there."""

from __future__ import annotations

import contextlib
import inspect

from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)  # fmt: skip
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt

from otelope.core.adapter import Adapter, Site, Wrapper
from otelope.core.call import Call, Parameters
from otelope.core.callbacks import held_in, is_asynchronous, root_of
from otelope.core.guard import guard
from otelope.core.hand_overs import HandOvers
from otelope.core.instrumenter import Instrumenter
from otelope.core.message import Message
from otelope.core.operation import Delivery, ambient_delivery, handling_of, type_of
from otelope.core.sender import Sending, Together


_NOTHING: contextlib.nullcontext[None] = contextlib.nullcontext()
_REFUSED = "rejected"
_CANCELLED = "cancelled"


@dataclass(frozen=True)
class Wrapping:
    """What a site's wrapper works with."""

    adapter: Adapter
    instrumenter: Instrumenter
    parameters: Parameters
    hand_overs: HandOvers
    asynchronous: bool
    generator: bool = False


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
                answer = _on(call, wrapped, instance)(*call.args, **call.kwargs)
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
                answer = await _on(call, wrapped, instance)(*call.args, **call.kwargs)
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


def _on(call: Call, wrapped: Wrapper, instance: Any) -> Wrapper:
    """The library's method, of the instance that the call has now."""
    if call.instance is instance:
        return wrapped
    method: Wrapper = wrapped.__func__.__get__(call.instance)  # type: ignore[attr-defined]  # bound
    return method


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


@dataclass(frozen=True)
class Operations:
    """
    A function through which a library makes calls of many kinds.

    Args:
        target: ``module:Class.method``.
        named: What kind a call is of.
        sites: What the calls of a kind do with messages, each with the same target; calls of
            other kinds pass.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    named: Callable[[Call], str]
    sites: Mapping[str, Site]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        wrappers = {name: site.wrapper(wrapping) for name, site in self.sites.items()}

        # Where the function is asynchronous, so is what each wrapper returns.
        def operate(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            wrapper = None
            with guard:
                name = self.named(Call(wrapping.parameters, instance, args, kwargs))
                wrapper = wrappers.get(name)
            if wrapper is None:
                return wrapped(*args, **kwargs)
            return wrapper(wrapped, instance, args, kwargs)

        return operate


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

    def _from(self, channel: str, *args: Any, **kwargs: Any) -> Message | None:
        message = self.message(*args, **kwargs)
        if message is None or message.channel is not None:
            return message
        return message._replace(channel=channel)

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
    wrapping: Wrapping, message_of: Callable[..., Message | None], *args: Any, **kwargs: Any
) -> Delivery | None:
    """The delivery that a block is, which is current in it; None where it is none."""
    delivery = None
    with guard:
        message = message_of(*args, **kwargs)
        if message is not None:
            delivery = wrapping.instrumenter.deliver([message], wrapping.adapter)
        if delivery is not None:
            delivery.attach()
    return delivery


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


if TYPE_CHECKING:
    _FunctionWrapper = wrapt.FunctionWrapper[Any, Any]
else:
    _FunctionWrapper = wrapt.FunctionWrapper  # cannot be subscripted before wrapt 2


class _Handler(_FunctionWrapper):
    """An application's callback as the library gets it."""
