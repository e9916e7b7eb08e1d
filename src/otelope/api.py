"""What an application may say itself: make envelopes, and tell where one is handled."""

from __future__ import annotations

import functools
import inspect
import time

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar, cast

from opentelemetry import trace

from otelope import instrumentor
from otelope.core.claim import Claim, Portable
from otelope.core.guard import guard
from otelope.core.operation import Delivery, ambient_delivery
from otelope.core.records import Operation
from otelope.core.settings import Settings
from otelope.core.storer import Storing
from otelope.core.telling import Telling
from otelope.core.tracing import Tracing
from otelope.model import identity, semconv
from otelope.model.contracts import declare, declared, fields_of
from otelope.model.envelope import Envelope, Kind, Source


_Function = TypeVar("_Function", bound=Callable[..., Any])


def new_id(parent: Envelope | str | None = None) -> str:
    """
    A new id, as canonical text (UUIDv8).

    It continues the parent's lineage, so that both stand in one trace; without a parent that has
    one, the lineage of the current trace. A parent older than ``OTELOPE_NEW_TRACE_AFTER`` gets a
    child with a new lineage, in a trace of its own.

    Args:
        parent: The envelope that causes the new one, or its id. Its age is known when it is an
            `Envelope`, or the id of the one being handled.
    """
    parent_id = parent.id if isinstance(parent, Envelope) else parent
    timestamp = parent.timestamp if isinstance(parent, Envelope) else None
    if timestamp is None and parent_id is not None:
        handled = _handled()
        if handled is not None and handled.id == identity.canonical(parent_id):
            timestamp = handled.timestamp
    if timestamp is not None and time.time() * 1000 - timestamp > _new_trace_after_ms():
        return identity.new_id()
    if parent_id is not None and identity.identify(parent_id).minted:
        return identity.new_id(parent_id)
    here = trace.get_current_span().get_span_context()
    return (identity.new_id_in(here.trace_id) if here.is_valid else None) or identity.new_id()


def contract(type: str, outside: Any) -> None:  # noqa: A002 - the envelope's own word
    """
    Declare which fields of a type's payload may leave; declaring again replaces.

    It holds for every `envelope` of the type that this process makes, and is compared with what
    the process sends.

    Args:
        type: Such as ``OrderPlaced``.
        outside: A Pydantic model, a dataclass or a TypedDict, each as a class; a JSON Schema with
            ``properties``; or names. An empty one lets nothing out.

    Raises:
        TypeError: It is none of these.
    """
    declare(type, fields_of(outside))


def envelope(
    type: str,  # noqa: A002 - the envelope's own word
    payload: Any = None,
    *,
    parent: Envelope | str | None = None,
    id: str | None = None,  # noqa: A002 - the envelope's own word
    timestamp: float | None = None,
    channel: str | None = None,
    kind: Kind | None = None,
    outside: Any = None,
) -> Envelope:
    """
    A new envelope, filled in: id, timestamp, source and parent.

    Args:
        type: Such as ``OrderPlaced``.
        payload: Plain data that JSON has a form for.
        parent: What causes it; by default, the envelope being handled here.
        id: By default, `new_id` of the parent.
        timestamp: Unix milliseconds, UTC; by default, now.
        channel, kind: Left out unless given.
        outside: What of the payload may leave, as for `contract`; by default, what that says.
    """
    cause = parent if parent is not None else _handled()
    parent_id = cause.id if isinstance(cause, Envelope) else cause
    made = Envelope(
        identity.canonical(id) if id else new_id(cause),
        type,
        int(time.time() * 1000) if timestamp is None else timestamp,
        _source(),
        None if parent_id is None else identity.canonical(parent_id),
        channel,
        kind,
        payload,
        outside=declared(type) if outside is None else fields_of(outside),
    )
    with guard:
        instrumentation = instrumentor.active()
        if instrumentation is not None:
            instrumentation.parts.note_made(made)
    return made


def current() -> Envelope | None:
    """The envelope being handled in this thread or task, with its payload; None outside."""
    handled = _handled()
    instrumentation = instrumentor.active()
    if handled is None or instrumentation is None:
        return handled
    return handled._replace(payload=instrumentation.parts.codecs.payload_of(handled))


class handling:  # noqa: N801 - a statement: `with otelope.handling(message):`
    """
    Say that a message is handled in this block, whose failure is the handling's failure.

    For work that a poll loop or a callback hands to threads, tasks or processes, and for libraries
    that otelope does not know. What was handed over by an instrumented library is taken over: it
    is told once. Without `instrument`, and for what is no envelope, the block just runs.

    Made where the message was received, and entered where it is handled, it may wait in a queue
    meanwhile. Pickled, it is told by the process that gets it. One that nobody enters is told as
    received, with an outcome that nobody knows.

    Args:
        message: What the library handed over, an `Envelope`, or the bytes or text of one.
    """

    def __init__(self, message: Any) -> None:
        self._claim: Claim | None = None
        self._portable: Portable | None = None
        self._delivery: Delivery | None = None
        with guard:
            instrumentation = instrumentor.active()
            if instrumentation is not None:
                adapters = instrumentation.adapters.values()
                self._claim = instrumentation.parts.claim(message, adapters)

    def __enter__(self) -> Envelope | None:
        with guard:
            instrumentation = instrumentor.active()
            if self._portable is not None and instrumentation is not None:
                self._claim = instrumentation.parts.claim_again(self._portable)
            if self._claim is not None:
                self._delivery = self._claim.begin()
        return current()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with guard:
            if self._delivery is not None:
                self._delivery.end_within(error)
                self._delivery.end(error)

    def __getstate__(self) -> dict[str, Any]:
        portable = self._portable
        with guard:
            if self._claim is not None:
                portable = self._claim.send_away()
        return {"_portable": portable, "_claim": None, "_delivery": None}


class stored:  # noqa: N801 - a statement: `with otelope.stored(event, to="orders-db"):`
    """
    Say that envelopes are written to a store in this block, one transaction.

    Leaving it normally says that they are committed, an exception that they are rolled back. What
    is rolled back did not happen: envelopes that nobody told of before stay untold.
    Without `instrument`, and for what is no envelope, the block just runs.

    As a decorator, of a function or a coroutine function, it takes the envelopes among the
    call's arguments, also those in lists and tuples.

    Args:
        envelopes: Each an `Envelope`, or the bytes, text or plain data of one.
        to: The name of the store, such as ``orders-db``.
        outbox: Whether another process will publish them from there: until it does, they are
            shown as waiting.
    """

    def __init__(self, *envelopes: Any, to: str, outbox: bool = False) -> None:
        self._envelopes = envelopes
        self._to = to
        self._outbox = outbox
        self._storing: Storing | None = None
        self._telling: Telling | None = None

    def __enter__(self) -> None:
        with guard:
            instrumentation = instrumentor.active()
            if instrumentation is not None:
                operation: Operation = "outbox" if self._outbox else "store"
                self._storing = instrumentation.parts.store(self._envelopes, self._to, operation)
            if self._storing is not None:
                self._telling = self._storing.telling()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with guard:
            if self._telling is not None:
                self._telling.end()
            if self._storing is not None:
                self._storing.end(error)

    def __call__(self, function: _Function) -> _Function:
        """
        The function, storing what it is called with.

        Raises:
            TypeError: It is a generator function, whose call does nothing yet.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{function.__qualname__} is a generator function: write "
                "`with otelope.stored(...)` in it, around the transaction"
            )

        def around(args: tuple[Any, ...], kwargs: dict[str, Any]) -> stored:
            found = [*self._envelopes, *_envelopes_in((*args, *kwargs.values()))]
            return stored(*found, to=self._to, outbox=self._outbox)

        @functools.wraps(function)
        def store(*args: Any, **kwargs: Any) -> Any:
            with around(args, kwargs):
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def store_async(*args: Any, **kwargs: Any) -> Any:
            with around(args, kwargs):
                return await function(*args, **kwargs)

        return cast(_Function, store_async if inspect.iscoroutinefunction(function) else store)


def _envelopes_in(arguments: Iterable[Any]) -> Iterator[Envelope]:
    for argument in arguments:
        if isinstance(argument, Envelope):
            yield argument
        elif isinstance(argument, list | tuple):
            yield from (item for item in argument if isinstance(item, Envelope))


def _handled() -> Envelope | None:
    delivery = ambient_delivery()
    return delivery.envelope if delivery is not None else None


def _new_trace_after_ms() -> float:
    settings = Settings()
    with guard:
        active = instrumentor.active()
        settings = active.parts.settings if active else Settings.from_environment()
    return float(settings.new_trace_after) * 1000


def _source() -> Source:
    resource: Mapping[str, Any] = {}
    with guard:
        active = instrumentor.active()
        resource = (active.parts.tracing if active else Tracing()).resource
    return Source(
        str(resource.get(semconv.SERVICE_NAME, "")), str(resource.get(semconv.SERVICE_VERSION, ""))
    )
