"""What an exporter is given, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from otelope.export.signals import Signal
from otelope.export.transport import Transport


Item = TypeVar("Item")
"""What is exported: a record, or a span."""


@dataclass(frozen=True)
class Job(Generic[Item]):
    """
    What an exporter works with.

    Args:
        signal: What it exports.
        encode: One item as a message of its signal.
        weigh: The memory a queued item is accounted with, in bytes; always the same of one item.
        wrap: Entries to a request.
        connect: Opens the transport.
        status: What the process says of itself, as a message of this signal; None: it does not.
        target: Where items go, for messages to people.
        interval: Seconds an item waits at most for a batch to fill.
        capacity: Of the queue, in bytes.
    """

    signal: Signal
    encode: Callable[[Item], bytes]
    weigh: Callable[[Item], int]
    wrap: Callable[[list[bytes]], bytes]
    connect: Callable[[], Transport]
    status: Callable[[], bytes] | None
    target: str
    interval: float
    capacity: int


class Delivery:
    """What became of the items; written by the exporter's thread only."""

    def __init__(self) -> None:
        self.stored = 0
        self.dropped = 0

    def drop(self, count: int) -> None:
        """Count items that were given up."""
        self.dropped += count
