"""Where batches wait that could not be sent."""

from __future__ import annotations

import math

from typing import Protocol

from otelope.export.batching import Batch


class Backlog(Protocol):
    """
    Where batches wait that could not be sent; used by the exporter's thread only.

    In memory, or in a spool on disk (`otelope.export.spool.Spool`).
    """

    @property
    def durable(self) -> bool:
        """Whether what it is given now will survive this process."""

    @property
    def where(self) -> str:
        """Where items wait, and up to what, for people."""

    spooled: int
    """How many items it holds that survive this process."""
    adopted: int
    """How many it handed out that an earlier process left."""
    lost: int
    """How many it held that could not be read again."""
    failure: str | None
    """Why it cannot keep what survives this process, though it should."""
    due: float
    """When to call `next` even if nothing is known to wait, by `time.monotonic`."""

    def __len__(self) -> int:
        """How many batches it holds that are not handed out."""

    def keep(self, batch: Batch) -> Batch:
        """
        Take a batch in; in place of the one of the same number, if that was handed out.

        Returns:
            The batch as it waits: safe and without a weight if it left memory, and under the
            number of another if it waits together with that.
        """

    def copy(self, batch: Batch) -> None:
        """Keep what is on its way, should the process end before it is known to have arrived."""

    def next(self) -> Batch | None:
        """
        Hand out the oldest batch, to be tried again; then `keep` or `forget` is called.

        One without entries could not be read again: it is gone.
        """

    def forget(self, batch: Batch) -> None:
        """All of it arrived or was refused for good. Asked for any batch, also one never kept."""

    def close(self) -> None:
        """Leave what is still there to another process."""

    def after_fork_in_child(self) -> None:
        """Leave everything to the parent."""


class MemoryBacklog:
    """Keeps batches in memory, inside the queue's bound, until they are delivered."""

    durable = False
    where = "in memory, up to OTELOPE_QUEUE_BYTES"
    spooled = adopted = lost = 0
    failure: str | None = None
    due = math.inf

    def __init__(self) -> None:
        self._batches: dict[int, Batch] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def keep(self, batch: Batch) -> Batch:
        """Take a batch in; there are as many as were on their way at once, at most."""
        self._batches[batch.number] = batch
        return batch

    def copy(self, batch: Batch) -> None:
        """Nothing to do: it is in memory."""

    def next(self) -> Batch | None:
        """Hand out the oldest batch."""
        return self._batches.pop(min(self._batches)) if self._batches else None

    def forget(self, batch: Batch) -> None:
        """Nothing to do: it left with `next`."""

    def close(self) -> None:
        """Nothing to do: it ends with the process."""

    def after_fork_in_child(self) -> None:
        """Nothing to do: it is the parent's exporter's."""
