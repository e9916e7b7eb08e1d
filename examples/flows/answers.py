"""What a client hears of its command."""

from __future__ import annotations

from collections.abc import Iterable

from examples.flows.ports import Answer
from otelope import Envelope


def answer_of(events: Iterable[Envelope]) -> Answer:
    """200 and the event, or 409 and why the order was rejected; the same for the same events."""
    (event,) = events
    return Answer(409 if event.type == "OrderRejected" else 200, {"id": event.id, **event.payload})
