"""Spans of our own: as OpenTelemetry's API has them, and cheaper to make than the SDK's."""

from __future__ import annotations

import logging
import threading
import time
import traceback

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.semconv.attributes.exception_attributes import (
    EXCEPTION_ESCAPED,
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes

from otelope.core.guard import guard
from otelope.core.operation import MAX_LINKS
from otelope.model import semconv


_logger = logging.getLogger("otelope")

_MOST = 128
# More attributes than ours have, so that only those of others need to be counted.
_OWN_ATTRIBUTES = 32
_UNSET = Status()

# What a link weighs in memory, and a value beside its text (tests measure both).
LINK_BYTES = 200
_VALUE_BYTES = 64


class Scope(NamedTuple):
    """Who made a span."""

    name: str = semconv.SCOPE
    version: str = ""
    schema_url: str = semconv.SCHEMA_URL
    attributes: Attributes = None


class Limits(NamedTuple):
    """
    How much a span may hold, as `opentelemetry.sdk.trace.SpanLimits` says; None is no limit.

    Attributes, events and links by their number; those of one event or link too; text by its
    characters, in attributes of the span itself and of its events and links.
    """

    attributes: int | None = _MOST
    events: int | None = _MOST
    links: int | None = _MOST
    event_attributes: int | None = _MOST
    link_attributes: int | None = _MOST
    span_text: int | None = None
    text: int | None = None

    @property
    def roomy(self) -> bool:
        """Whether a span as we start it is within them, whatever it is about."""
        return (
            (self.attributes is None or self.attributes >= _OWN_ATTRIBUTES)
            and (self.links is None or self.links >= MAX_LINKS)
            and self.span_text is None
        )


class Maker(NamedTuple):
    """
    What the spans of one provider have in common.

    Args:
        provider: Whose resource they have.
        limits: How much they may hold.
    """

    provider: Any
    limits: Limits


class Event(NamedTuple):
    """Something that happened during a span, at a Unix time in nanoseconds."""

    name: str
    attributes: BoundedAttributes
    timestamp: int

    @property
    def dropped_attributes(self) -> int:
        """How many attributes there was no room for."""
        return self.attributes.dropped


class _Latest(deque[Any]):
    """The latest so many; the others are counted."""

    dropped = 0

    def append(self, item: object) -> None:
        if self.maxlen is not None and len(self) == self.maxlen:
            self.dropped += 1
        super().append(item)


class OwnSpan(Span):
    """
    A recording span, which its recorder gets when it ends.

    What an application can do to the SDK's spans or read of them, it can of these, with the same
    result, in any thread. Nothing changes after the end.

    Args:
        name, kind, attributes, context, parent: As of the SDK's spans; the attributes, if they are
            a `dict`, are ours: of plain values, and nobody changes them.
        linked: What it links to from the start.
        start_time: Unix nanoseconds.
        maker: What it has in common with others.
        record: Takes it.

    Beside these: ``added``, the bytes of memory that links and what others wrote take.
    """

    # All is there when it is made, for 0.13 µs; what few spans need is made when they do.
    __slots__ = (
        "_attributes",
        "_events",
        "_latest_links",
        "_linked",
        "_maker",
        "_record",
        "_status",
        "_writing",
        "added",
        "context",
        "end_time",
        "kind",
        "name",
        "parent",
        "start_time",
    )

    instrumentation_scope = Scope()

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        context: SpanContext,
        parent: SpanContext | None,
        linked: Sequence[SpanContext],
        start_time: int,
        maker: Maker,
        record: Callable[[OwnSpan], None],
    ) -> None:
        self.name = name
        self.kind = kind
        self._attributes: Any = attributes
        self.context = context
        self.parent = parent
        self._linked = linked
        self.start_time = start_time
        self.end_time: int | None = None
        self._maker = maker
        self._record = record
        self._latest_links: _Latest | None = None
        self._events: _Latest | None = None
        self._status: Status | None = None
        self._writing: threading.RLock | None = None
        self.added = len(linked) * LINK_BYTES if linked else 0

    def __repr__(self) -> str:
        return f'{type(self).__name__}(name="{self.name}", context={self.context})'

    # What the API asks for

    def get_span_context(self) -> SpanContext:
        """Its span context."""
        return self.context

    def is_recording(self) -> bool:
        """Whether it lasts."""
        return self.end_time is None

    def end(self, end_time: int | None = None) -> None:
        """
        End it, once, now or at a Unix time in nanoseconds, and hand it over.

        No lock is taken where nobody else has written.
        """
        try:
            record = self._record
            # Of two threads that end it one comes past this.
            del self._record
        except AttributeError:
            _logger.warning("Calling end() on an ended span.")
            return
        self.end_time = time.time_ns() if end_time is None else end_time
        # Who begins to write now sees that it has ended; who began before is waited for.
        if self._writing is not None:
            with self._writing, guard:
                self.added = self._weigh()
        record(self)

    def set_attribute(self, key: str, value: Any) -> None:
        """Set an attribute; a value of another kind than OpenTelemetry's becomes text."""

        def change() -> None:
            self.bounded_attributes()[key] = value

        self._change("set_attribute", change)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes."""

        def change() -> None:
            bounded = self.bounded_attributes()
            # Cleaned as a whole, as the SDK does (1.45): it makes text of odd keys here only.
            cleaned = BoundedAttributes(None, attributes, max_value_len=bounded.max_value_len)
            if bounded.maxlen == 0:
                bounded.dropped += len(attributes)
                return
            bounded.update(cleaned)
            bounded.dropped += cleaned.dropped

        self._change("set_attributes", change)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Note that something happened, now or at a Unix time in nanoseconds."""
        limits = self._maker.limits
        bounded = BoundedAttributes(limits.event_attributes, attributes, max_value_len=limits.text)
        event = Event(name, bounded, time.time_ns() if timestamp is None else timestamp)

        def change() -> None:
            if self._events is None:
                self._events = _Latest(maxlen=limits.events)
            self._events.append(event)

        self._change("add_event", change)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Link it to another; not to an invalid one of which nothing is told."""
        told = context and (context.is_valid or attributes or context.trace_state)  # type: ignore[redundant-expr]  # or None
        if not told:
            return
        limits = self._maker.limits
        bounded = BoundedAttributes(limits.link_attributes, attributes, max_value_len=limits.text)
        link = Link(context, bounded)
        self._change("add_link", lambda: self.bounded_links().append(link))

    def update_name(self, name: str) -> None:
        """Give it another name."""
        self._change("update_name", lambda: setattr(self, "name", name))

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say how it went; nothing takes an OK back."""

        def change() -> None:
            code = status.status_code if isinstance(status, Status) else status
            if self.status.status_code is StatusCode.OK or code is StatusCode.UNSET:
                return
            if isinstance(status, Status):
                self._status = status
                if description is not None:
                    _logger.warning(
                        "Description %s ignored. Use either a Status or a StatusCode with it.",
                        description,
                    )
            elif isinstance(status, StatusCode):
                self._status = Status(status, description)

        self._change("set_status", change)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - as the API has it
    ) -> None:
        """Note an exception as an event."""
        kind = type(exception)
        module = kind.__module__
        told: dict[str, Any] = {
            EXCEPTION_TYPE: f"{module}.{kind.__qualname__}"
            if module and module != "builtins"
            else kind.__qualname__,
            EXCEPTION_MESSAGE: str(exception),
            EXCEPTION_STACKTRACE: "".join(traceback.format_exception(exception)),
            EXCEPTION_ESCAPED: str(escaped),
        }
        self.add_event("exception", {**told, **(attributes or {})}, timestamp)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self.is_recording():
            self.record_exception(error, escaped=True)
            self.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self.end()

    # What the SDK's spans let read

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Its attributes, as they are now."""
        return MappingProxyType(self._attributes)

    @property
    def events(self) -> tuple[Event, ...]:
        """Its events so far."""
        if self._events is None:
            return ()
        with self._lock():
            return tuple(self._events)

    @property
    def links(self) -> tuple[Link, ...]:
        """Its links so far."""
        if self._latest_links is None:
            return tuple(map(Link, self._linked))
        with self._lock():
            return tuple(self._latest_links)

    @property
    def _links(self) -> _Latest:
        # azure-core's tracing plugin appends to the SDK's (1.0.0b13).
        self._lock()
        return self.bounded_links()

    @property
    def status(self) -> Status:
        """How it went, as far as anybody said."""
        return self._status or _UNSET

    @property
    def resource(self) -> Any:
        """Its provider's resource."""
        return getattr(self._maker.provider, "resource", None)

    @property
    def dropped_attributes(self) -> int:
        """How many attributes there was no room for, or that were none."""
        return getattr(self._attributes, "dropped", 0)

    @property
    def dropped_events(self) -> int:
        """How many events there was no room for."""
        return self._events.dropped if self._events is not None else 0

    @property
    def dropped_links(self) -> int:
        """How many links there was no room for."""
        return self._latest_links.dropped if self._latest_links is not None else 0

    # What is made when it is needed

    def bounded_attributes(self) -> BoundedAttributes:
        """Its attributes, within the limits from now on."""
        bounded = self._attributes
        if not isinstance(bounded, BoundedAttributes):
            limits = self._maker.limits
            bounded = self._attributes = BoundedAttributes(
                limits.attributes, bounded, immutable=False, max_value_len=limits.span_text
            )
        return bounded

    def bounded_links(self) -> _Latest:
        """Its links, within the limits from now on."""
        if self._latest_links is None:
            links = _Latest(maxlen=self._maker.limits.links)
            for context in self._linked:
                links.append(Link(context))
            self._latest_links = links
        return self._latest_links

    def _change(self, what: str, change: Callable[[], None]) -> None:
        with self._lock():
            if self.end_time is None:
                change()
                return
        _logger.warning("Tried calling %s on an ended span.", what)

    def _lock(self) -> threading.RLock:
        # Re-entrant: a signal handler or a finalizer may end what it interrupts the writing to.
        lock = self._writing
        if lock is None:
            # The API's class has a __dict__, and `setdefault` gives two threads the same lock.
            lock = self._writing = self.__dict__.setdefault("lock", threading.RLock())
        return lock

    def _weigh(self) -> int:
        links = self._latest_links
        return (
            len(self._linked if links is None else links) * LINK_BYTES
            + sum(_weight(link.attributes) for link in links or ())
            + _weight(self._attributes)
            + sum(_weight(event.attributes) for event in self._events or ())
        )


def _weight(value: object) -> int:
    """About the memory that a cleaned value takes, in bytes."""
    if isinstance(value, str | bytes):
        return _VALUE_BYTES + len(value)
    if isinstance(value, Mapping):
        return _VALUE_BYTES + sum(map(_weight, value)) + sum(map(_weight, value.values()))
    if isinstance(value, tuple):
        return _VALUE_BYTES + sum(map(_weight, value))
    return _VALUE_BYTES if value is not None else 0
