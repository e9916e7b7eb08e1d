"""Who waits until their items are delivered."""

from __future__ import annotations

from queue import SimpleQueue


class Flush:
    """
    Someone waits until the first *target* accepted items are acknowledged.

    Args:
        target: How many were accepted when it was asked for.
        dropped: How many had been dropped by then.
        closing: Whether the exporter ends with it.
    """

    def __init__(self, target: int, dropped: int, *, closing: bool) -> None:
        self.target = target
        self.dropped = dropped
        self.closing = closing
        self.fence: int | None = None
        """The number of the last batch to wait for, once that is known."""
        self.abandoned = False
        self.answer: SimpleQueue[bool] = SimpleQueue()

    @property
    def answered(self) -> bool:
        """Whether it is known."""
        return not self.answer.empty()


class Flushes:
    """All who wait; used by the exporter's thread only."""

    def __init__(self) -> None:
        self._waiting: list[Flush] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def closing(self) -> bool:
        """Whether one of them ends the exporter."""
        return any(flush.closing for flush in self._waiting)

    def add(self, flush: Flush) -> None:
        """Let one more wait."""
        self._waiting.append(flush)

    def fence(self, taken: int, last: int) -> None:
        """Tell that so many items are in batches up to the number *last*."""
        self._waiting = [flush for flush in self._waiting if not flush.abandoned]
        for flush in self._waiting:
            if flush.fence is None and taken >= flush.target:
                flush.fence = last

    def settled(self, outstanding: set[int]) -> list[Flush]:
        """Those whose batches are none of the outstanding ones."""
        return [
            flush
            for flush in self._waiting
            if (fence := flush.fence) is not None
            and not any(number <= fence for number in outstanding)
        ]

    def answer(self, flush: Flush, *, delivered: bool) -> None:
        """Let one go."""
        self._waiting.remove(flush)
        flush.answer.put(delivered)

    def dismiss(self) -> None:
        """Let all go: their items are not acknowledged, and will not be."""
        for flush in tuple(self._waiting):
            self.answer(flush, delivered=False)
