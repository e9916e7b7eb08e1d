"""What an exporter is given, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from otelope.core.records import Record
from otelope.export.transport import Transport


class Job(NamedTuple):
    """
    What an exporter works with.

    Args:
        encode: One record as a ``LogRecord`` message.
        wrap: Entries to a request.
        connect: Opens the transport.
        status: What the process says of itself, as a ``LogRecord`` message.
        target: Where records go, for messages to people.
        interval: Seconds a record waits at most for a batch to fill.
        capacity: Of the queue, in bytes.
    """

    encode: Callable[[Record], bytes]
    wrap: Callable[[list[bytes]], bytes]
    connect: Callable[[], Transport]
    status: Callable[[], bytes]
    target: str
    interval: float
    capacity: int


class Delivery:
    """What became of the records; written by the exporter's thread only."""

    def __init__(self) -> None:
        self.stored = 0
        self.spooled = 0
        self.dropped = 0

    def drop(self, count: int) -> None:
        """Count records that were given up."""
        self.dropped += count
