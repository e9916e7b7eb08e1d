"""What the instrumenter hands to the export lane: one object per envelope and per handling."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from otelope.core.contracts import Leaving
from otelope.model.envelope import Envelope


Outcome = Literal["ok", "error", "unknown"]

Operation = Literal["process", "send", "store", "outbox"]
"""What was done with an envelope; an outbox is a store that somebody publishes from later."""

RecordedBy = Literal["maker", "sender", "receiver"]
"""Who tells of an envelope: who made it knows all of it, who sends it what it was caused by."""


class EnvelopeRecord(msgspec.Struct, frozen=True):
    """
    An envelope, seen for the first time.

    Args:
        envelope: With ``text`` (the wire's JSON) or, without it, a ``payload`` of raw bytes, text
            or plain data, from which the exporter thread composes the JSON.
        observed_ns: When it was seen, Unix nanoseconds.
        trace_id, span_id, trace_flags: The envelope's span context.
        channel: Where it was sent or received.
        recorded_by: A receiver only tells of what came unmarked.
        parent_inferred: Whether ``envelope.parent_id`` was taken from the ambient delivery.
        cause_span_id: The span of the delivery that produced it; 0 when unknown.
        parent_type, parent_source, parent_timestamp: What is known of the parent, else None.
        leaving: What left with it, when it was sent under a contract.
    """

    envelope: Envelope
    observed_ns: int
    trace_id: int
    span_id: int
    trace_flags: int
    channel: str | None
    recorded_by: RecordedBy
    parent_inferred: bool = False
    cause_span_id: int = 0
    parent_type: str | None = None
    parent_source: str | None = None
    parent_timestamp: float | None = None
    leaving: Leaving | None = None


class DeliveryRecord(msgspec.Struct, frozen=True):
    """
    What this service did with one envelope: it handled it, sent it again or stored it.

    Args:
        envelope: The envelope handled; its payload is not exported again.
        started_ns, ended_ns: Unix nanoseconds.
        trace_id, span_id, trace_flags: Its own span context. ``span_id`` is random where
            nothing traces; with the envelope's id it identifies the record.
        channel: Where it was received, or sent, or the name of the store.
        outcome: ``"unknown"`` when it was abandoned without a word.
        error_type: The exception's type or the status, for ``"error"``.
        attempt: 1 for the first, when the broker tells.
        redelivered: When the broker tells.
        leaving: What left with it, when it was sent under a contract.
    """

    envelope: Envelope
    started_ns: int
    ended_ns: int
    trace_id: int
    span_id: int
    trace_flags: int
    channel: str | None
    outcome: Outcome
    error_type: str | None = None
    attempt: int | None = None
    redelivered: bool | None = None
    operation: Operation = "process"
    leaving: Leaving | None = None


Record = EnvelopeRecord | DeliveryRecord


class Recorder(Protocol):
    """
    Takes records in the host's thread, and never raises into the host.

    Nor does it block on I/O, unless ``OTELOPE_DURABLE=write-ahead`` asks for it.
    """

    def __call__(self, record: Record, /) -> None: ...
