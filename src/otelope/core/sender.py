"""Envelopes on their way out."""

from __future__ import annotations

import time

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind

from otelope.core.adapter import Adapter
from otelope.core.attributes import attributes_of
from otelope.core.carriers import Carrier
from otelope.core.contexts import attach, current_context, is_suppressed, with_span
from otelope.core.contracts import Leaving
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.operation import drawn_span_id, end_span, live_context, metadata_of, type_of
from otelope.core.placement import Placement, Spot, place_again, place_envelope
from otelope.core.propagation import carried, injected
from otelope.core.records import DeliveryRecord, RecordedBy, Recorder
from otelope.core.shared import Origin, Shared
from otelope.core.surroundings import Surroundings, spot_of, surroundings, surroundings_in
from otelope.model.envelope import Envelope
from otelope.model.identity import Identity


if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since 3.11; needed by type checkers only


_SEND_KINDS = (SpanKind.PRODUCER, SpanKind.CLIENT)

# System, channel and envelope id: a client may stand on another one of the same system.
_What = tuple[str, str | None, str]
_sending: ContextVar[tuple[_What, ...]] = ContextVar("otelope.sending", default=())


class Ahead(NamedTuple):
    """
    A message whose headers are written before it is sent, as where it gets into a batch.

    Args:
        message: Without a channel, which is not known yet.
        fields: The headers to add, as of `Sending.fields`.
        here: What was current then.
        origin: Where its envelope comes from, as it was seen then.
    """

    message: Message
    fields: dict[str, str]
    here: Surroundings
    origin: Origin


class Sender:
    """
    Begins to send messages: the same for every adapter.

    Args:
        shared: What it works with.
        recognise: Finds the envelope in a message; None when it is none.
    """

    def __init__(
        self, shared: Shared, recognise: Callable[[Message, Carrier], Envelope | None]
    ) -> None:
        self._shared = shared
        self._recognise = recognise

    def send(self, message: Message, adapter: Adapter) -> Sending | None:
        """
        Begin to send a message.

        The caller sends it with `Sending.fields` among its headers, within the `Sending`.
        None when the message is no envelope, when instrumentation is suppressed, or when this is
        an inner layer of a sending that lasts, as where a request is made of a publish. Nor is a
        job sent that its library puts back, to be tried again or when its time comes: it has been
        sent, as its headers say.
        """
        envelope = self._recognise(message, adapter.carrier)
        if envelope is None:
            return None
        current = current_context()
        if is_suppressed(current):
            return None
        if message.arguments is not None:
            own = self._shared.identify(envelope.id)
            if carried(message, adapter.carrier, current).tells_of(own.span_id):
                return None
        what = (message.system or adapter.system, message.channel, envelope.id)
        if what in _sending.get():
            return None
        return self._begin(message, envelope, adapter, what, surroundings_in(current))

    def ahead(self, message: Message, adapter: Adapter) -> Ahead | None:
        """
        Say which headers a message gets that is sent later, by `send_ahead`.

        None as of `send`; also within a sending by the same system, which has its headers.
        """
        if any(by == adapter.system for by, _, _ in _sending.get()):
            return None
        envelope = self._recognise(message, adapter.carrier)
        if envelope is None or is_suppressed(current_context()):
            return None
        shared, here = self._shared, surroundings()
        own, origin = shared.identify(envelope.id), shared.origin_of(envelope)
        known = shared.memory.recall(envelope.id)
        placement = self._placement(own, origin, adapter, here)
        spot = known.spot if known else Spot((placement.parent or own).trace_id, own.span_id)
        fields = {}
        if shared.tracing.active:
            span = NonRecordingSpan(shared.tracing.context_of(spot, (here.span_context,)))
            fields = injected(with_span(here.context, span), own.span_id)
        return Ahead(message, fields, here, origin)

    def send_ahead(self, ahead: Ahead, channel: str, adapter: Adapter) -> Sending | None:
        """Begin to send a message that has its headers already; else as `send`."""
        message = replace(ahead.message, channel=channel)
        envelope = self._recognise(message, adapter.carrier)
        if envelope is None or is_suppressed(current_context()):
            return None
        what = (adapter.system, channel, envelope.id)
        return self._begin(message, envelope, adapter, what, ahead.here, ahead.origin)

    def _begin(
        self,
        message: Message,
        envelope: Envelope,
        adapter: Adapter,
        what: _What,
        here: Surroundings,
        origin: Origin | None = None,
    ) -> Sending:
        leaving = self._shared.contracts.leaving(envelope)
        now = time.time_ns()
        own = self._shared.identify(envelope.id)
        known = self._shared.memory.recall(envelope.id)
        # Where another instrumentation makes the send span, ours is the envelope's creation; none
        # of them makes one of what was in a batch.
        made_now = origin is None
        made_elsewhere = made_now and (here.foreign_kind in _SEND_KINDS or adapter.sends_traced())
        operation = "create" if made_elsewhere else "send"
        if known is None:
            origin = origin or self._shared.origin_of(envelope)
            span, spot = self._first(
                message, origin, own, adapter, operation, here, now, leaving=leaving
            )
        else:
            spot = known.spot
            placement = place_again(spot, here.spot)
            span = self._start(message, envelope, adapter, operation, placement, here, now)
            if not known.told:
                # Sent before the transaction that stores it ended, which may yet be rolled back.
                origin = origin or self._shared.origin_of(envelope)
                self._tell(origin, spot, span, message.channel, "sender", now, leaving)
        return Sending(
            span, here.context, own.span_id, self._shared.record, message, envelope, spot, now,
            leaving, what, again=known is not None and known.told,
        )  # fmt: skip

    def create(self, envelope: Envelope, adapter: Adapter) -> None:
        """Make the span of an envelope that is handled where it was made, if it has none yet."""
        memory = self._shared.memory
        if memory.recall(envelope.id) is not None or not memory.made_here(envelope.id):
            return
        own = self._shared.identify(envelope.id)
        message = Message(envelope.channel, None)
        here = surroundings()
        now = time.time_ns()
        origin = self._shared.origin_of(envelope)
        span, _ = self._first(message, origin, own, adapter, "create", here, now, "maker")
        span.end()

    def _first(
        self,
        message: Message,
        origin: Origin,
        own: Identity,
        adapter: Adapter,
        operation: str,
        here: Surroundings,
        now: int,
        recorded_by: RecordedBy = "sender",
        leaving: Leaving | None = None,
    ) -> tuple[Span, Spot]:
        """Make the envelope's own span; tell and remember where it is."""
        placement = self._placement(own, origin, adapter, here)
        span = self._start(message, origin.envelope, adapter, operation, placement, here, now)
        spot = spot_of(span.get_span_context()) or Spot(
            (placement.parent or own).trace_id, own.span_id
        )
        self._tell(origin, spot, span, message.channel, recorded_by, now, leaving)
        return span, spot

    def _placement(
        self, own: Identity, origin: Origin, adapter: Adapter, here: Surroundings
    ) -> Placement:
        headers, traces = adapter.carrier.headers, self._shared.traces
        return place_envelope(own, origin.cause, here.spot, headers=headers, traces=traces)

    def _tell(
        self,
        origin: Origin,
        spot: Spot,
        span: Span,
        channel: str | None,
        recorded_by: RecordedBy,
        now: int,
        leaving: Leaving | None,
    ) -> None:
        """Record and remember the envelope."""
        flags = span.get_span_context().trace_flags
        self._shared.record(origin.record(spot, flags, channel, recorded_by, now, leaving))
        self._shared.memory.remember(origin.envelope, spot)

    def _start(
        self,
        message: Message,
        envelope: Envelope,
        adapter: Adapter,
        operation: str,
        placement: Placement,
        here: Surroundings,
        now: int,
    ) -> Span:
        return self._shared.start(
            f"{operation} {message.channel or envelope.type}",
            SpanKind.PRODUCER,
            attributes_of(message, envelope, adapter.system, operation, self._shared.kind),
            placement,
            here,
            now,
        )


class Sending:
    """
    One message on its way out.

    As a context manager it is current while the library sends it, and ends with what the library
    raised, or in another task that it is left to; several that one call sends are `Together`. The
    envelope's record tells of the first sending; a later one, and one that fails, is told when it
    ends.

    Attributes:
        error_type: The error that the library's answer says, such as an HTTP status.
    """

    __slots__ = (
        "_again",
        "_around",
        "_before",
        "_ended",
        "_envelope",
        "_envelope_span_id",
        "_lasts",
        "_leaving",
        "_message",
        "_record",
        "_span",
        "_spot",
        "_started_ns",
        "_traced",
        "_within",
        "error_type",
        "what",
    )

    def __init__(
        self,
        span: Span,
        before: Context,
        envelope_span_id: int,
        record: Recorder,
        message: Message,
        envelope: Envelope,
        spot: Spot,
        started_ns: int,
        leaving: Leaving | None,
        what: _What,
        *,
        again: bool,
    ) -> None:
        self._span = span
        self._before = before
        self._envelope_span_id = envelope_span_id
        self._record = record
        self._message = message
        self._envelope = envelope
        self._spot = spot
        self._started_ns = started_ns
        self._leaving = leaving
        self._again = again
        self._within = before
        self._around: tuple[_What, ...] = ()
        self.what = what
        self._lasts = False
        self._ended = False
        self.error_type: str | None = None
        self._traced = span.get_span_context().is_valid
        if self._traced:
            self._within = with_span(before, span)

    def fields(self) -> dict[str, str]:
        """The headers to add (`otelope.core.propagation.injected`)."""
        return injected(self._within, self._envelope_span_id)

    def leave(self) -> None:
        """Outlast the block that it is in: whoever enters it again ends it."""
        self._lasts = True

    def __enter__(self) -> Self:
        with guard:
            if self._lasts:
                self._lasts = False
                self._before = live_context()
            self._around = _sending.get()
            _sending.set((self.what,))
            if self._traced:
                attach(self._within)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with guard:
            if self._traced:
                # Not detach(token): that fails, and logs, in another task than its attach.
                attach(self._before)
            _sending.set(self._around)
            if not self._lasts:
                self.end(error)

    def end(self, error: BaseException | None) -> None:
        """Tell how it ended: with what the library raised, or the error that its answer says."""
        self._ended = True
        error_type = type_of(error) if error is not None else self.error_type
        if self._again or error_type is not None:
            self._tell(error_type)
        if error_type is None:
            self._span.end()
        else:
            end_span(self._span, error, error_type)

    def take_back(self, reason: str) -> None:
        """Tell that it came to nothing: when it ends, or after that at once."""
        if self._ended:
            self._tell(reason)
        else:
            self.error_type = reason

    def _tell(self, error_type: str | None) -> None:
        sent = self._span.get_span_context()
        own = 0 if self._again else self._spot.span_id
        self._record(
            DeliveryRecord(
                metadata_of(self._envelope),
                self._started_ns,
                time.time_ns(),
                sent.trace_id or self._spot.trace_id,
                sent.span_id or own or drawn_span_id(),
                sent.trace_flags,
                self._message.channel,
                "error" if error_type is not None else "ok",
                error_type,
                operation="send",
                leaving=self._leaving,
            )
        )


class Together:
    """
    Messages that one call sends, each with a fate of its own.

    One alone is current meanwhile; of several none is, as none of them causes the others. It ends
    as the context manager that it is, with what the library raised, or where it is entered again.
    """

    __slots__ = ("_around", "_lasts", "_sendings")

    def __init__(self) -> None:
        self._around: tuple[_What, ...] = ()
        self._lasts = False
        self._sendings: list[Sending | None] = []

    def __len__(self) -> int:
        """How many of the messages are envelopes."""
        return len(self._followed)

    def add(self, sending: Sending | None) -> None:
        """Take the next message of the call; None for one that is not followed."""
        self._sendings.append(sending)

    def depart(self) -> None:
        """All are there: from now on the library sends them."""
        followed = self._followed
        if len(followed) == 1:
            followed[0].__enter__()
        elif followed:  # else what is being sent around it stays
            _sending.set(tuple(sending.what for sending in followed))

    def leave(self) -> None:
        """Outlast the block that it is in: whoever enters it again ends it."""
        self._lasts = True

    @property
    def _followed(self) -> list[Sending]:
        return [sending for sending in self._sendings if sending is not None]

    def answer(self, error_types: Iterable[str | None]) -> None:
        """Note for each message, in the order of the call, the error that the answer says."""
        for sending, error_type in zip(self._sendings, error_types, strict=False):
            if sending is not None:
                sending.error_type = error_type

    def __enter__(self) -> Self:
        self._lasts = False
        self._around = _sending.get()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        followed = self._followed
        if len(followed) == 1:
            if self._lasts:
                followed[0].leave()
            followed[0].__exit__(kind, error, traceback)
        elif not self._lasts:
            for sending in followed:
                with guard:
                    sending.end(error)
        _sending.set(self._around)
