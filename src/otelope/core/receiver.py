"""Envelopes that arrive."""

from __future__ import annotations

import time

from collections.abc import Callable, Iterable, Sequence

import msgspec

from msgspec.structs import replace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from otelope.core.adapter import Adapter
from otelope.core.attributes import attributes_of, attributes_of_batch
from otelope.core.carriers import Carrier
from otelope.core.contexts import current_context, is_suppressed
from otelope.core.message import Message
from otelope.core.operation import MAX_LINKS, Arrived, Delivery, delivery_in
from otelope.core.placement import Placement, Spot, place_delivery
from otelope.core.propagation import Carried, carried
from otelope.core.records import EnvelopeRecord
from otelope.core.shared import Shared
from otelope.core.surroundings import Surroundings, link_back, spot_of, surroundings_in
from otelope.model.envelope import Envelope
from otelope.model.identity import Identity


_ENTRY_KINDS = (SpanKind.SERVER, SpanKind.CONSUMER)


class _Arrival(msgspec.Struct):
    """One message of a delivery, and where its spans are."""

    message: Message
    envelope: Envelope
    own: Identity
    carried: Carried
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
        if not found:
            return None
        current = current_context()
        if is_suppressed(current):
            return None
        ambient = delivery_in(current)
        if ambient is not None and ambient.is_of(adapter, found):
            return None
        if channel is not None:
            called = channel()
            found = [(replace(message, channel=called), envelope) for message, envelope in found]
        return self._handle(found, adapter, current, in_request=in_request)

    def handle(
        self, found: Sequence[Arrived], adapter: Adapter, *, in_request: bool = False
    ) -> Delivery:
        """Begin the handling of envelopes that are recognised already; else as `deliver`."""
        return self._handle(found, adapter, current_context(), in_request=in_request)

    def _handle(
        self, found: Sequence[Arrived], adapter: Adapter, current: Context, *, in_request: bool
    ) -> Delivery:
        here = surroundings_in(current)
        if here.ours:
            # What else is being handled or sent here has nothing to do with what arrives: two
            # consumers polled in turns, a callback that a client runs inside a publish.
            here = replace(here, spot=None)
        if in_request and here.foreign_kind is not None:
            # FastAPI's own instrumentation opens INTERNAL spans inside its SERVER span.
            here = replace(here, foreign_kind=SpanKind.SERVER)
        now = time.time_ns()
        context = here.context
        arrivals = [self._arrival(message, envelope, adapter, here) for message, envelope in found]
        if len(arrivals) == 1:
            context = arrivals[0].carried.context
            spans = [self._start_one(arrivals[0], adapter, here, now)]
        else:
            spans = self._start_batch(arrivals, adapter, here, now)
        delivery = Delivery(
            adapter, found, spans, context, now, self._shared.record, self._trace_of
        )
        for arrival in arrivals:
            self._received(arrival, delivery)
        return delivery

    def _trace_of(self, envelope_id: str) -> int:
        return self._shared.identify(envelope_id).trace_id

    def _arrival(
        self, message: Message, envelope: Envelope, adapter: Adapter, here: Surroundings
    ) -> _Arrival:
        shared, carrier = self._shared, adapter.carrier
        traces = shared.traces
        own = shared.identify(envelope.id)
        known = shared.memory.recall(envelope.id)
        came = carried(message, carrier, here.context)
        propagated = spot_of(came.span_context)
        placement = place_delivery(
            own,
            known.spot if known else None,
            here.spot,
            propagated,
            here_is_entry=here.foreign_kind in _ENTRY_KINDS,
            headers=carrier.headers,
            traces=traces,
        )
        by_id = own.minted and traces == "tree"
        lost = False
        if known:
            spot = known.spot
        elif propagated and not by_id:
            spot = propagated
        else:
            spot = Spot(own.trace_id, own.span_id)
            lost = not by_id and traces != "links" and (carrier.headers or traces == "join")
        return _Arrival(message, envelope, own, came, spot, lost, placement)

    def _start_one(
        self, arrival: _Arrival, adapter: Adapter, here: Surroundings, now: int
    ) -> Span:
        message, envelope, placement = arrival.message, arrival.envelope, arrival.placement
        propagated = arrival.carried.span_context
        span = self._shared.tracing.start(
            f"process {message.channel or envelope.type}",
            # Another instrumentation's consumer or server span is the one that counts.
            SpanKind.INTERNAL if placement.nested else SpanKind.CONSUMER,
            attributes_of(message, envelope, adapter.system, "process", self._shared.kind),
            placement,
            context=arrival.carried.context,
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
        contexts = [
            here.span_context,
            *(a.carried.span_context for a in arrivals if a.carried.span_context),
        ]
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

    def _received(self, arrival: _Arrival, delivery: Delivery) -> None:
        """Remember a received envelope; record it, if its sender has not."""
        message, envelope, spot = arrival.message, arrival.envelope, arrival.spot
        memory = self._shared.memory
        if memory.recall(envelope.id) is not None:
            return
        flags = delivery.span_context.trace_flags
        # Where the headers of a foreign id were lost, its delivery is all there is of it in a
        # trace: its children join that, also the delivery of a batch.
        delivered = spot_of(delivery.span_context) if arrival.lost else None
        memory.remember(envelope, delivered or spot)
        if arrival.carried.tells_of(arrival.own.span_id):
            return
        parent = memory.recall(envelope.parent_id)
        self._shared.record(
            EnvelopeRecord(
                envelope,
                delivery.started_ns,
                spot.trace_id,
                arrival.own.span_id,
                flags,
                message.channel,
                "receiver",
                False,  # noqa: FBT003 - the parent is the envelope's own word
                0,
                *(parent.about if parent else (None, None, None)),
            )
        )
