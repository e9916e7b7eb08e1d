"""Envelopes that arrive."""

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
from otelope.core.message import Message
from otelope.core.operation import MAX_LINKS, Arrived, Delivery, ambient_delivery
from otelope.core.placement import Placement, Spot, place_delivery
from otelope.core.propagation import already_stored, extracted
from otelope.core.records import EnvelopeRecord
from otelope.core.shared import Shared
from otelope.core.surroundings import Surroundings, link_back, spot_of, surroundings
from otelope.model.envelope import Envelope


_ENTRY_KINDS = (SpanKind.SERVER, SpanKind.CONSUMER)


class _Arrival(NamedTuple):
    """One message of a delivery, and where its spans are."""

    message: Message
    envelope: Envelope
    context: Context
    propagated: SpanContext | None
    spot: Spot
    lost: bool  # whether the spot is a guess: neither the id nor headers say where the span is
    placement: Placement


class Receiver:
    """
    Begins the handling of messages: the same for every adapter.

    Args:
        shared: What it works with.
        recognise: Finds the envelope in a message; None when it is none.
    """

    def __init__(
        self, shared: Shared, recognise: Callable[[Message, Carrier], Envelope | None]
    ) -> None:
        self._shared = shared
        self._recognise = recognise

    def deliver(
        self,
        messages: Iterable[Message],
        adapter: Adapter,
        *,
        in_request: bool = False,
        channel: Callable[[], str] | None = None,
    ) -> Delivery | None:
        """
        Begin the handling of messages that were handed over at once.

        The caller attaches the delivery where it is handled and ends it when that is over.
        *in_request* says that what is current was opened for this very message, since a web
        framework handles each request in a context of its own. *channel* is asked for their
        channel only where there is an envelope.
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
        if channel is not None:
            called = channel()
            found = [(message._replace(channel=called), envelope) for message, envelope in found]
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
            adapter, found, spans, context, now, self._shared.record, self._trace_of
        )
        for arrival in arrivals:
            self._received(arrival, delivery, adapter)
        return delivery

    def _trace_of(self, envelope_id: str) -> int:
        return self._shared.identify(envelope_id).trace_id

    def _arrival(
        self, message: Message, envelope: Envelope, adapter: Adapter, here: Surroundings
    ) -> _Arrival:
        own = self._shared.identify(envelope.id)
        known = self._shared.memory.recall(envelope.id)
        context, propagated = extracted(message, adapter.carrier, here.context)
        propagated_spot = spot_of(propagated)
        placement = place_delivery(
            own,
            known.spot if known else None,
            here.spot,
            propagated_spot,
            here_is_entry=here.foreign_kind in _ENTRY_KINDS,
            headers=adapter.carrier.headers,
            traces=self._shared.traces,
        )
        by_id = own.minted and self._shared.traces == "tree"
        lost = False
        if known:
            spot = known.spot
        elif propagated_spot and not by_id:
            spot = propagated_spot
        else:
            spot = Spot(own.trace_id, own.span_id)
            joins = adapter.carrier.headers or self._shared.traces == "join"
            lost = joins and not by_id and self._shared.traces != "links"
        return _Arrival(message, envelope, context, propagated, spot, lost, placement)

    def _start_one(
        self, arrival: _Arrival, adapter: Adapter, here: Surroundings, now: int
    ) -> Span:
        message, envelope, context, propagated, _, _, placement = arrival
        span = self._shared.tracing.start(
            f"process {message.channel or envelope.type}",
            # Another instrumentation's consumer or server span is the one that counts.
            SpanKind.INTERNAL if placement.nested else SpanKind.CONSUMER,
            attributes_of(message, envelope, adapter.system, "process", self._shared.kind),
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
            system = part[0].message.system or adapter.system
            attributes = attributes_of_batch(len(part), channel, system)
            span = self._shared.tracing.start(
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
        if self._shared.memory.recall(envelope.id) is not None:
            return
        # Where the headers of a foreign id were lost, its delivery is all there is of it in a
        # trace: its children join that, also the delivery of a batch.
        delivered = spot_of(delivery.span_context)
        spot = delivered if delivered and arrival.lost else arrival.spot
        self._shared.memory.remember(envelope, spot)
        own = self._shared.identify(envelope.id)
        if already_stored(message, adapter.carrier, own.span_id):
            return
        parent = self._shared.memory.recall(envelope.parent_id)
        self._shared.record(
            EnvelopeRecord(
                envelope,
                delivery.started_ns,
                arrival.spot.trace_id,
                own.span_id,
                delivery.span_context.trace_flags,
                message.channel,
                "receiver",
                False,  # noqa: FBT003 - the parent is the envelope's own word
                0,
                *(parent.about if parent else (None, None, None)),
            )
        )
