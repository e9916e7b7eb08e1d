"""Envelopes that are written to a store."""

from __future__ import annotations

import time

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, SpanKind

from otelope.core.attributes import attributes_of_store
from otelope.core.carriers import MAPPING, Carrier
from otelope.core.message import Message
from otelope.core.operation import drawn_span_id, end_span, metadata_of, type_of
from otelope.core.placement import Spot, place_envelope, place_store
from otelope.core.records import DeliveryRecord, EnvelopeRecord, Operation, Outcome, RecordedBy
from otelope.core.shared import Shared
from otelope.core.surroundings import Surroundings, surroundings
from otelope.core.telling import Telling, is_told
from otelope.model.envelope import Envelope


class _Stored(NamedTuple):
    """One envelope of a transaction."""

    envelope: Envelope
    span: Span
    trace_id: int
    record: EnvelopeRecord | None  # None for what is told already
    first: bool  # whether the span is the envelope's own


class Storer:
    """
    Begins to store envelopes.

    Args:
        shared: What it works with.
        recognise: Finds the envelope in a message; None when it is none.
        candidates: What of a database's rows may be an envelope.
    """

    def __init__(
        self,
        shared: Shared,
        recognise: Callable[[Message, Carrier], Envelope | None],
        candidates: Callable[[Any], Iterable[Any]],
    ) -> None:
        self._shared = shared
        self._recognise = recognise
        self._candidates = candidates

    def envelopes_in(self, rows: Iterable[Any]) -> list[Envelope]:
        """The envelopes in rows of a database that nobody around tells of, each once."""
        found: dict[str, Envelope] = {}
        for candidate in self._candidates(rows):
            envelope = self._recognise(Message(None, candidate), MAPPING)
            if envelope is not None and not is_told(envelope.id):
                found.setdefault(envelope.id, envelope)
        return list(found.values())

    def store(
        self,
        envelopes: Iterable[Envelope],
        name: str,
        operation: Operation = "store",
        *,
        started_ns: int | None = None,
        seen: bool = False,
    ) -> Storing | None:
        """
        Begin to store envelopes in one transaction, whose end the caller tells.

        None when there are none, or instrumentation is suppressed.

        Args:
            envelopes: Complete, as far as this process knows them.
            name: Of the store.
            operation: ``store``, or ``outbox`` when another process publishes from there.
            started_ns: Unix nanoseconds; by default, now.
            seen: Nobody said what becomes of them then: they may be published from there too.
        """
        if not is_instrumentation_enabled():
            return None
        here = surroundings()
        now = started_ns or time.time_ns()
        # What another process sends gets its own span there.
        last = operation == "store" and not seen
        stored = [self._begin(envelope, name, here, now, last=last) for envelope in envelopes]
        return Storing(self._shared, stored, name, operation, now) if stored else None

    def _begin(
        self, envelope: Envelope, name: str, here: Surroundings, now: int, *, last: bool
    ) -> _Stored:
        shared = self._shared
        own = shared.identify(envelope.id)
        known = shared.memory.recall(envelope.id)
        origin = shared.origin_of(envelope) if known is None else None
        first = last and origin is not None and shared.memory.made_here(envelope.id)
        if first and origin is not None:
            placement = place_envelope(
                own, origin.cause, here.spot, headers=True, traces=shared.traces
            )
        else:
            placement = place_store(
                own, known.spot if known else None, here.spot, traces=shared.traces
            )
        attributes = attributes_of_store(envelope, name, shared.kind)
        span = shared.start(f"store {name}", SpanKind.INTERNAL, attributes, placement, here, now)
        context = span.get_span_context()
        trace_id = context.trace_id or (placement.parent or own).trace_id
        if origin is None:
            return _Stored(envelope, span, trace_id, None, first)
        spot = Spot(own.trace_id if own.minted and not first else trace_id, own.span_id)
        if first:
            shared.memory.remember(origin.envelope, spot, told=False)
        # Who only read it knows no more of it than any receiver.
        who: RecordedBy = "maker" if shared.memory.made_here(envelope.id) else "receiver"
        record = origin.record(spot, context.trace_flags, envelope.channel, who, now)
        return _Stored(envelope, span, trace_id, record, first)


class Storing:
    """
    Envelopes in a transaction that is open.

    Only when it is committed are those told of that nobody told of before: what is rolled back
    did not happen.

    Args:
        shared: What it works with.
        stored: One for each envelope.
        name: Of the store.
        operation: ``store`` or ``outbox``.
        started_ns: Unix nanoseconds.
    """

    def __init__(
        self,
        shared: Shared,
        stored: list[_Stored],
        name: str,
        operation: Operation,
        started_ns: int,
    ) -> None:
        self._shared = shared
        self._stored = stored
        self._name = name
        self._operation = operation
        self._started_ns = started_ns

    @property
    def envelope_ids(self) -> list[str]:
        """Whose transaction is open."""
        return [each.envelope.id for each in self._stored]

    def telling(self) -> Telling:
        """Tell of them alone in this thread or task."""
        return Telling(self.envelope_ids)

    def end(
        self,
        error: BaseException | None = None,
        error_type: str | None = None,
        *,
        abandoned: bool = False,
    ) -> None:
        """
        Tell how the transaction ended; later calls do nothing.

        Args:
            error: What was raised in it.
            error_type: Why it was rolled back, where nothing was raised.
            abandoned: Nobody said how it ended.
        """
        stored, self._stored = self._stored, []
        if error is not None:
            error_type = type_of(error)
        outcome: Outcome = "error" if error_type else "unknown" if abandoned else "ok"
        ended_ns = time.time_ns()
        for each in stored:
            end_span(each.span, error, error_type, ended_ns)
            if each.record is not None and outcome == "ok":
                self._shared.record(each.record)
                if each.first:
                    spot = Spot(each.record.trace_id, each.record.span_id)
                    self._shared.memory.remember(each.record.envelope, spot)
            elif each.first:
                self._shared.memory.forget_untold(each.envelope.id)
            span_context = each.span.get_span_context()
            self._shared.record(
                DeliveryRecord(
                    metadata_of(each.envelope),
                    self._started_ns,
                    ended_ns,
                    each.trace_id,
                    span_context.span_id or drawn_span_id(),
                    span_context.trace_flags,
                    self._name,
                    outcome,
                    error_type,
                    operation=self._operation,
                )
            )
