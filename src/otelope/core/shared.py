"""What sending, receiving and storing have in common within one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from opentelemetry.trace import Span, SpanKind

from otelope.core.contracts import Contracts, Leaving
from otelope.core.memory import Known, Memory
from otelope.core.operation import ambient_delivery
from otelope.core.placement import Cause, Placement
from otelope.core.records import EnvelopeRecord, RecordedBy, Recorder
from otelope.core.settings import Traces
from otelope.core.surroundings import Surroundings, link_back, spot_of
from otelope.core.tracing import Tracing
from otelope.model.envelope import Envelope, Kind
from otelope.model.identity import Identity


class Origin(msgspec.Struct, frozen=True):
    """
    Where an envelope that this process is the first to tell of comes from.

    Args:
        envelope: With the parent that it has, if only by inference.
        inferred: Whether its parent is only the envelope being handled here.
        parent: What is remembered of its parent.
        cause: Its parent, as placing needs it; None for a root.
        cause_span_id: The span of the delivery that produced it; 0 when unknown.
    """

    envelope: Envelope
    inferred: bool
    parent: Known | None
    cause: Cause | None
    cause_span_id: int

    def record(
        self,
        spot: tuple[int, int],
        flags: int,
        channel: str | None,
        recorded_by: RecordedBy,
        now: int,
        leaving: Leaving | None = None,
    ) -> EnvelopeRecord:
        """The envelope's record, when its span is at ``spot``."""
        trace_id, span_id = spot
        type_, source, timestamp = self.parent.about if self.parent else (None, None, None)
        return EnvelopeRecord(
            self.envelope,
            now,
            trace_id,
            span_id,
            flags,
            channel,
            recorded_by,
            self.inferred,
            self.cause_span_id,
            type_,
            source,
            timestamp,
            leaving,
        )


@dataclass(frozen=True)
class Shared:
    """
    What all three work with.

    Args:
        traces: The mode, `Settings.traces`.
        identify: From an id to its identity, in this mode.
        kind: The kind of a type, and whether it is inferred.
        record: Takes the records.
        tracing: Makes the spans.
        memory: What was sent and received here.
        contracts: What may leave, and what was made here of which not all may.
    """

    traces: Traces
    identify: Callable[[str], Identity]
    kind: Callable[[str], tuple[Kind | None, bool]]
    record: Recorder
    tracing: Tracing
    memory: Memory
    contracts: Contracts

    def origin_of(self, envelope: Envelope) -> Origin:
        """Where an envelope comes from, seen from what is being handled here; all of it."""
        envelope = self.contracts.whole(envelope)
        delivery = ambient_delivery()
        if delivery is None and envelope.parent_id is None:
            return Origin(envelope, False, None, None, 0)  # noqa: FBT003 - nothing is inferred
        handled = delivery.envelope if delivery is not None else None
        named = delivery.resolve(envelope.parent_id) if delivery is not None else None
        if named not in (envelope.parent_id, envelope.id, None):
            envelope = envelope._replace(parent_id=named)
        inferred = envelope.parent_id is None and handled is not None and handled.id != envelope.id
        if inferred and handled is not None:
            envelope = envelope._replace(parent_id=handled.id)
        parent_id = envelope.parent_id
        if parent_id is None:
            return Origin(envelope, inferred, None, None, 0)
        parent = self.memory.recall(parent_id)
        handled_here = handled is not None and handled.id == parent_id
        actual = parent.spot if parent else None
        if handled_here and delivery is not None and not delivery.around:
            # Not within its handling's span, but below that, as the nearest of its spans.
            handled_here, actual = False, spot_of(delivery.span_context) or actual
        cause = Cause(self.identify(parent_id), actual, handled_here=handled_here)
        caused_here = delivery is not None and delivery.handles(parent_id)
        return Origin(
            envelope,
            inferred,
            parent,
            cause,
            delivery.span_id if delivery is not None and caused_here else 0,
        )

    def start(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        placement: Placement,
        here: Surroundings,
        started_ns: int,
    ) -> Span:
        """Start a span, and link what is current here to it where its placement says so."""
        span = self.tracing.start(
            name,
            kind,
            attributes,
            placement,
            context=here.context,
            contexts=(here.span_context,),
            started_ns=started_ns,
        )
        if placement.back_link:
            link_back(here.span, span.get_span_context())
        return span
