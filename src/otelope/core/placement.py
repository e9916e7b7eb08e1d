"""
Where a span goes: its trace, its parent and its links. Pure; no OpenTelemetry types.

The rules are those of docs/identity.md, "One rule places everything".
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from otelope.core.settings import Traces
from otelope.model.identity import Identity


class Spot(NamedTuple):
    """A span context without flags and state."""

    trace_id: int
    span_id: int


class Placement(msgspec.Struct, frozen=True):
    """
    Where a span goes.

    Args:
        parent: None starts a trace.
        trace_id, span_id: The ids to pin; 0 leaves the choice to the id generator.
        links: Spans to link to.
        back_link: Whether the current span should also be linked to this one.
        nested: Whether another instrumentation's span of the same operation is the parent, so
            that this one does not count as a second.
    """

    parent: Spot | None
    trace_id: int = 0
    span_id: int = 0
    links: tuple[Spot, ...] = ()
    back_link: bool = False
    nested: bool = False


class Cause(msgspec.Struct, frozen=True):
    """
    The parent of an envelope, as far as this process knows it.

    Args:
        identity: What its id says.
        actual: Where its span really is, when this process sent or received it.
        handled_here: Whether the current span stands inside its delivery.
    """

    identity: Identity
    actual: Spot | None = None
    handled_here: bool = False

    @property
    def spot(self) -> Spot:
        """Its span, by knowledge or by its id."""
        return self.actual or Spot(self.identity.trace_id, self.identity.span_id)


def place_envelope(
    own: Identity, cause: Cause | None, here: Spot | None, *, headers: bool, traces: Traces
) -> Placement:
    """
    Place the span of an envelope that this process is the first to send.

    Args:
        own: The identity of its id.
        cause: Its parent; None for a root.
        here: The current span.
        headers: Whether the message can carry its context in headers.
        traces: The mode, `Settings.traces`.
    """
    if traces == "links":
        return _alone(own, cause, here)
    if traces == "join":
        return _joined(own, cause, here) if here else _alone(own, cause, here)
    if own.minted:
        return _minted(own, cause, here)
    if not headers:
        return _alone(own, cause, here)
    # A foreign id cannot say its trace: the headers will, so it joins what is there.
    if cause and cause.actual and not cause.handled_here:
        return _below(own, cause.actual, here)
    return _joined(own, cause, here) if here else _alone(own, cause, here)


def _minted(own: Identity, cause: Cause | None, here: Spot | None) -> Placement:
    here_is_own_trace = here is not None and here.trace_id == own.trace_id
    if cause and cause.spot.trace_id == own.trace_id:
        if cause.handled_here and here_is_own_trace:
            return Placement(here, span_id=own.span_id)
        return _below(own, cause.spot, here)
    if here_is_own_trace:
        return _joined(own, cause, here)
    return _alone(own, cause, here)


def _below(own: Identity, parent: Spot, here: Spot | None) -> Placement:
    elsewhere = here if here and here.trace_id != parent.trace_id else None
    return Placement(
        parent,
        span_id=own.span_id,
        links=(elsewhere,) if elsewhere else (),
        back_link=elsewhere is not None,
    )


def _joined(own: Identity, cause: Cause | None, here: Spot | None) -> Placement:
    apart = cause is not None and not cause.handled_here
    return Placement(
        here, span_id=own.span_id, links=(cause.spot,) if cause is not None and apart else ()
    )


def _alone(own: Identity, cause: Cause | None, here: Spot | None) -> Placement:
    if cause is None and here is None:
        return Placement(None, own.trace_id, own.span_id)
    # The cause's own span may be the current one: a handler called while it is sent.
    links = tuple(dict.fromkeys(spot for spot in (cause.spot if cause else None, here) if spot))
    return Placement(None, own.trace_id, own.span_id, links, back_link=here is not None)


def place_again(sent: Spot, here: Spot | None) -> Placement:
    """Place a later send of an envelope whose span is at ``sent``: another channel, a retry."""
    if here and here.trace_id == sent.trace_id:
        return Placement(here)
    return Placement(sent, links=(here,) if here else (), back_link=here is not None)


def place_store(
    own: Identity, actual: Spot | None, here: Spot | None, *, traces: Traces
) -> Placement:
    """
    Place the span of a transaction that stores an envelope whose own span is another.

    Args:
        own: The identity of its id.
        actual: Where the envelope's span really is, when this process sent or received it.
        here: The current span.
        traces: The mode, `Settings.traces`.
    """
    if here is None:
        return Placement(actual) if actual else Placement(None, own.trace_id)
    by_id = Spot(own.trace_id, own.span_id) if own.minted and traces == "tree" else None
    spot = actual or by_id
    return Placement(here, links=(spot,) if spot and spot.trace_id != here.trace_id else ())


def place_delivery(  # noqa: PLR0911 - one return for each row of the rules
    own: Identity,
    actual: Spot | None,
    here: Spot | None,
    propagated: Spot | None,
    *,
    here_is_entry: bool,
    headers: bool,
    traces: Traces,
) -> Placement:
    """
    Place the span of a delivery.

    Args:
        own: The identity of the envelope's id.
        actual: Where the envelope's span really is, when this process sent or received it.
        here: The current span.
        propagated: The span context in the message's headers.
        here_is_entry: Whether another instrumentation opened ``here`` for this very message.
        headers: Whether the message could have carried a context.
        traces: The mode, `Settings.traces`.
    """
    by_id = Spot(own.trace_id, own.span_id)
    if traces == "links" or (own.minted and traces == "tree"):
        if here and here_is_entry and here.trace_id == by_id.trace_id:
            return Placement(here, nested=True)
        return _delivered_below(by_id, here, propagated)
    if propagated:
        if here and here_is_entry and here.trace_id == propagated.trace_id:
            return Placement(here, nested=True)
        return _delivered_below(propagated, here, None)
    if here and here_is_entry and actual and actual.trace_id == here.trace_id:
        return Placement(here, nested=True)
    if actual:
        return _delivered_below(actual, here, None)
    if here and here_is_entry:
        return Placement(here, links=(by_id,), nested=True)
    if headers or traces == "join":
        # Its headers were lost, so where its span is cannot be known: never a parent that may
        # not exist.
        # In the sender's own task, the current span is the envelope's.
        links = tuple(dict.fromkeys((by_id, here))) if here else (by_id,)
        return Placement(None, links=links, back_link=here is not None)
    return _delivered_below(by_id, here, None)


def _delivered_below(parent: Spot, here: Spot | None, propagated: Spot | None) -> Placement:
    elsewhere = here if here and here.trace_id != parent.trace_id else None
    also = propagated if propagated and propagated.trace_id != parent.trace_id else None
    if elsewhere is None and also is None:
        return Placement(parent)
    links = tuple(dict.fromkeys(spot for spot in (elsewhere, also) if spot))
    return Placement(parent, links=links, back_link=elsewhere is not None)
