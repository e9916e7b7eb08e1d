"""Start and end of one operation: an envelope sent, an envelope delivered."""

from __future__ import annotations

import time

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span, SpanContext, SpanKind

from otelope.core.adapter import Adapter
from otelope.core.attributes import attributes_of, attributes_of_batch
from otelope.core.carriers import Carrier
from otelope.core.memory import Memory
from otelope.core.message import Message
from otelope.core.operation import (
    MAX_LINKS,
    Arrived,
    Delivery,
    Sending,
    ambient_delivery,
)
from otelope.core.placement import (
    Cause,
    Placement,
    Spot,
    place_again,
    place_delivery,
    place_envelope,
)
from otelope.core.propagation import already_stored, extracted
from otelope.core.records import EnvelopeRecord, Recorder
from otelope.core.settings import Settings
from otelope.core.surroundings import Surroundings, link_back, spot_of, surroundings
from otelope.core.tracing import Tracing
from otelope.model.envelope import Envelope, Kind
from otelope.model.identity import Identity, hashed, identify


_ENTRY_KINDS = (SpanKind.SERVER, SpanKind.CONSUMER)
_SEND_KINDS = (SpanKind.PRODUCER, SpanKind.CLIENT)


class _Arrival(NamedTuple):
    """One message of a delivery, and where its spans are."""

    message: Message
    envelope: Envelope
    context: Context
    propagated: SpanContext | None
    spot: Spot
    lost: bool  # whether the spot is a guess: neither the id nor headers say where the span is
    placement: Placement


class Instrumenter:
    """
    Turns messages into spans and records: the same for every adapter.

    Args:
        settings: The process's settings.
        recognise: Finds the envelope in a message; None when it is none.
        kind: The kind of a type, and whether it is inferred.
        record: Takes the records.
        tracing: Makes the spans.
    """

    def __init__(
        self,
        settings: Settings,
        recognise: Callable[[Message, Carrier], Envelope | None],
        kind: Callable[[str], tuple[Kind | None, bool]],
        record: Recorder,
        tracing: Tracing,
    ) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self._traces = settings.traces
        self._identify = hashed if settings.traces == "links" else identify
        self._recognise = recognise
        self._kind = kind
        self._record = record
        self._tracing = tracing
        self._memory = Memory()

    def send(self, message: Message, adapter: Adapter) -> Sending | None:
        """
        Begin to send a message.

        The caller sends it with `Sending.fields` among its headers and then calls `Sending.end`.
        None when the message is no envelope, or instrumentation is suppressed.
        """
        envelope = self._recognise(message, adapter.carrier)
        if envelope is None or not is_instrumentation_enabled():
            return None
        here = surroundings()
        now = time.time_ns()
        own = self._identify(envelope.id)
        known = self._memory.recall(envelope.id)
        if known is not None:
            placement = place_again(known.spot, here.spot)
            span = self._start_send(message, envelope, adapter, placement, here, now)
        else:
            span = self._send_first(message, envelope, own, adapter, here, now)
        return Sending(span, here.context, own.span_id)

    def _send_first(
        self,
        message: Message,
        envelope: Envelope,
        own: Identity,
        adapter: Adapter,
        here: Surroundings,
        now: int,
    ) -> Span:
        delivery = ambient_delivery()
        handled = delivery.envelope if delivery is not None else None
        inferred = envelope.parent_id is None and handled is not None and handled.id != envelope.id
        if inferred and handled is not None:
            envelope = envelope._replace(parent_id=handled.id)
        parent = self._memory.recall(envelope.parent_id)
        cause = None
        if envelope.parent_id is not None:
            cause = Cause(
                self._identify(envelope.parent_id),
                parent.spot if parent else None,
                handled_here=handled is not None and handled.id == envelope.parent_id,
            )
        placement = place_envelope(
            own, cause, here.spot, headers=adapter.carrier.headers, traces=self._traces
        )
        span = self._start_send(message, envelope, adapter, placement, here, now)
        sent = span.get_span_context()
        spot = (
            Spot(sent.trace_id, sent.span_id)
            if sent.is_valid
            else Spot((placement.parent or own).trace_id, own.span_id)
        )
        handles_parent = delivery is not None and delivery.handles(envelope.parent_id)
        self._record(
            EnvelopeRecord(
                envelope,
                now,
                spot.trace_id,
                spot.span_id,
                sent.trace_flags,
                message.channel,
                True,  # noqa: FBT003 - the sender tells
                inferred,
                delivery.span_id if delivery is not None and handles_parent else 0,
                *(parent[1:] if parent else (None, None, None)),
            )
        )
        self._memory.remember(envelope, spot)
        return span

    def _start_send(
        self,
        message: Message,
        envelope: Envelope,
        adapter: Adapter,
        placement: Placement,
        here: Surroundings,
        now: int,
    ) -> Span:
        # Where another instrumentation makes the send span, ours is the envelope's creation.
        made_elsewhere = here.foreign_kind in _SEND_KINDS or adapter.sends_traced()
        operation = "create" if made_elsewhere else "send"
        span = self._tracing.start(
            f"{operation} {message.channel or envelope.type}",
            SpanKind.PRODUCER,
            attributes_of(message, envelope, adapter.system, operation, self._kind),
            placement,
            context=here.context,
            contexts=(here.span_context,),
            started_ns=now,
        )
        if placement.back_link:
            link_back(here.span, span.get_span_context())
        return span

    def deliver(
        self, messages: Iterable[Message], adapter: Adapter, *, in_request: bool = False
    ) -> Delivery | None:
        """
        Begin the handling of messages that were handed over at once.

        The caller attaches the delivery where it is handled and ends it when that is over.
        *in_request* says that what is current was opened for this very message, since a web
        framework handles each request in a context of its own.
        None when none of them is an envelope, when instrumentation is suppressed, or when this
        is an inner layer of the handling that is already current.
        """
        found = []
        for message in messages:
            envelope = self._recognise(message, adapter.carrier)
            if envelope is not None:
                found.append((message, envelope))
        if not found or not is_instrumentation_enabled():
            return None
        ambient = ambient_delivery()
        if ambient is not None and ambient.is_of(adapter, found):
            return None
        return self.handle(found, adapter, in_request=in_request)

    def handle(
        self, found: Sequence[Arrived], adapter: Adapter, *, in_request: bool = False
    ) -> Delivery:
        """Begin the handling of envelopes that are recognised already; else as `deliver`."""
        here = surroundings()
        if here.ours:
            # What else is being handled or sent here has nothing to do with what arrives: two
            # consumers polled in turns, a callback that a client runs inside a publish.
            here = here._replace(spot=None)
        if in_request and here.foreign_kind is not None:
            # FastAPI's own instrumentation opens INTERNAL spans inside its SERVER span.
            here = here._replace(foreign_kind=SpanKind.SERVER)
        now = time.time_ns()
        arrivals = [self._arrival(message, envelope, adapter, here) for message, envelope in found]
        if len(arrivals) == 1:
            context = arrivals[0].context
            spans = [self._start_one(arrivals[0], adapter, here, now)]
        else:
            context = here.context
            spans = self._start_batch(arrivals, adapter, here, now)
        delivery = Delivery(
            adapter, found, spans, context, now, self._record, lambda i: self._identify(i).trace_id
        )
        for arrival in arrivals:
            self._received(arrival, delivery, adapter)
        return delivery

    def _arrival(
        self, message: Message, envelope: Envelope, adapter: Adapter, here: Surroundings
    ) -> _Arrival:
        own = self._identify(envelope.id)
        known = self._memory.recall(envelope.id)
        context, propagated = extracted(message, adapter.carrier, here.context)
        propagated_spot = spot_of(propagated)
        placement = place_delivery(
            own,
            known.spot if known else None,
            here.spot,
            propagated_spot,
            here_is_entry=here.foreign_kind in _ENTRY_KINDS,
            headers=adapter.carrier.headers,
            traces=self._traces,
        )
        by_id = own.minted and self._traces == "tree"
        lost = False
        if known:
            spot = known.spot
        elif propagated_spot and not by_id:
            spot = propagated_spot
        else:
            spot = Spot(own.trace_id, own.span_id)
            joins = adapter.carrier.headers or self._traces == "join"
            lost = joins and not by_id and self._traces != "links"
        return _Arrival(message, envelope, context, propagated, spot, lost, placement)

    def _start_one(
        self, arrival: _Arrival, adapter: Adapter, here: Surroundings, now: int
    ) -> Span:
        message, envelope, context, propagated, _, _, placement = arrival
        span = self._tracing.start(
            f"process {message.channel or envelope.type}",
            # Another instrumentation's consumer or server span is the one that counts.
            SpanKind.INTERNAL if placement.nested else SpanKind.CONSUMER,
            attributes_of(message, envelope, adapter.system, "process", self._kind),
            placement,
            context=context,
            contexts=(here.span_context, propagated) if propagated else (here.span_context,),
            started_ns=now,
        )
        if placement.back_link:
            link_back(here.span, span.get_span_context())
        return span

    def _start_batch(
        self, arrivals: Sequence[_Arrival], adapter: Adapter, here: Surroundings, now: int
    ) -> list[Span]:
        spans = []
        contexts = [here.span_context, *(a.propagated for a in arrivals if a.propagated)]
        for first in range(0, len(arrivals), MAX_LINKS):
            part = arrivals[first : first + MAX_LINKS]
            channels = {arrival.message.channel for arrival in part}
            channel = channels.pop() if len(channels) == 1 else None
            attributes = attributes_of_batch(len(part), channel, adapter.system)
            span = self._tracing.start(
                f"process {channel}" if channel else "process",
                SpanKind.CONSUMER,
                attributes,
                Placement(here.spot, links=tuple(arrival.spot for arrival in part)),
                context=here.context,
                contexts=contexts,
                started_ns=now,
            )
            spans.append(span)
        return spans

    def _received(self, arrival: _Arrival, delivery: Delivery, adapter: Adapter) -> None:
        """Remember a received envelope; record it, if its sender has not."""
        message, envelope = arrival.message, arrival.envelope
        if self._memory.recall(envelope.id) is not None:
            return
        # Where the headers of a foreign id were lost, its delivery is all there is of it in a
        # trace: its children join that, also the delivery of a batch.
        delivered = spot_of(delivery.span_context)
        spot = delivered if delivered and arrival.lost else arrival.spot
        self._memory.remember(envelope, spot)
        own = self._identify(envelope.id)
        if already_stored(message, adapter.carrier, own.span_id):
            return
        parent = self._memory.recall(envelope.parent_id)
        self._record(
            EnvelopeRecord(
                envelope,
                delivery.started_ns,
                arrival.spot.trace_id,
                own.span_id,
                delivery.span_context.trace_flags,
                message.channel,
                False,  # noqa: FBT003 - the receiver tells
                False,  # noqa: FBT003 - the parent is the envelope's own word
                0,
                *(parent[1:] if parent else (None, None, None)),
            )
        )
