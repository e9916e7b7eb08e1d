"""What an application may say itself: make envelopes, and tell where one is handled."""

from __future__ import annotations

import time

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from opentelemetry import trace

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.core.operation import Delivery, ambient_delivery
from otelope.core.settings import Settings
from otelope.core.tracing import Tracing
from otelope.model import identity, semconv
from otelope.model.envelope import Envelope, Kind, Source


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


def envelope(
    type: str,  # noqa: A002 - the envelope's own word
    payload: Any = None,
    *,
    parent: Envelope | str | None = None,
    id: str | None = None,  # noqa: A002 - the envelope's own word
    timestamp: float | None = None,
    channel: str | None = None,
    kind: Kind | None = None,
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
    """
    cause = parent if parent is not None else _handled()
    parent_id = cause.id if isinstance(cause, Envelope) else cause
    return Envelope(
        id or new_id(cause),
        type,
        int(time.time() * 1000) if timestamp is None else timestamp,
        _source(),
        parent_id,
        channel,
        kind,
        payload,
    )


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

    For work that a poll loop hands to threads, tasks or processes, and for libraries that
    otelope does not know. What was handed over by an instrumented library is taken over: it is
    told once. Without `instrument`, and for what is no envelope, the block just runs.

    Args:
        message: What the library handed over, an `Envelope`, or the bytes or text of one.
    """

    def __init__(self, message: Any) -> None:
        self._message = message
        self._delivery: Delivery | None = None

    def __enter__(self) -> Envelope | None:
        with guard:
            instrumentation = instrumentor.active()
            if instrumentation is not None:
                self._delivery = instrumentation.parts.handle(
                    self._message, instrumentation.adapters.values()
                )
        return current()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with guard:
            if self._delivery is not None:
                self._delivery.end(error)


def _handled() -> Envelope | None:
    delivery = ambient_delivery()
    return delivery.envelope if delivery is not None else None


def _new_trace_after_ms() -> float:
    instrumentation = instrumentor.active()
    settings = instrumentation.parts.settings if instrumentation else Settings.from_environment()
    return float(settings.new_trace_after) * 1000


def _source() -> Source:
    instrumentation = instrumentor.active()
    tracing = instrumentation.parts.tracing if instrumentation else Tracing()
    resource: Mapping[str, Any] = tracing.resource
    return Source(
        str(resource.get(semconv.SERVICE_NAME, "")), str(resource.get(semconv.SERVICE_VERSION, ""))
    )
