"""Items wait in a queue that is bounded in bytes, and leave it in batches of encoded items."""

from __future__ import annotations

import logging
import math
import threading

from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, NamedTuple

from otelope.export.job import Item
from otelope.export.request import entry
from otelope.export.signals import Signal


_logger = logging.getLogger("otelope")

# gRPC servers refuse messages above 4 MiB unless told otherwise.
BATCH_BYTES = 3 * 1024 * 1024
# Larger than any receiver's limit that we know of (the SDK's own limit over HTTP).
MAX_ITEM_BYTES = 64 * 1024 * 1024


class Queue(Generic[Item]):
    """
    What the host's threads put items into and the exporter's thread takes them from.

    Args:
        capacity: In bytes. It bounds what waits here *and* what is being sent: bytes are free
            again when `release` says so. An item beyond it is refused, the ones before it stay.
        wake: Called by the host's thread when there is enough to do; must be re-entrant.
        weigh: As of `otelope.export.job.Job`.
    """

    def __init__(
        self, capacity: int, wake: Callable[[], None], weigh: Callable[[Item], int]
    ) -> None:
        self.accepted = 0
        self.refused = 0
        self.taken = 0
        self.failure: str | None = None
        """Why items are not safe when they are taken, though they should be."""
        self._capacity = capacity
        self._wake = wake
        self._weigh = weigh
        self._wake_at: float = 0
        self._items: deque[Item] = deque()
        self._bytes_in = 0
        self._bytes_taken = 0
        self._bytes_out = 0
        # Among the host's threads only. The exporter's thread never takes it: a signal handler
        # that waits for the exporter may have interrupted its holder. Re-entrant, as handlers
        # and finalizers put items too.
        self._putting = threading.RLock()

    def put(self, item: Item) -> None:
        """Queue an item, or refuse and count it. No I/O; never waits for the exporter."""
        size = self._weigh(item)
        with self._putting:
            if self._bytes_in - self._bytes_out + size > self._capacity:
                self.refused += 1
                return
            self._bytes_in += size
            self.accepted += 1
            self._items.append(item)
        if self._bytes_in >= self._wake_at:
            self._wake_at = math.inf
            self._wake()

    def __len__(self) -> int:
        return len(self._items)

    def close(self) -> None:
        """Refuse whatever comes from now on."""
        self._capacity = 0

    def settle(self, last: int, at_risk: set[int]) -> None:
        """
        Learn what need not be remembered; called by the exporter's thread.

        Args:
            last: The number of the batch that has, or will have, what was taken last.
            at_risk: Those of the batches that are neither stored, dropped nor safe.
        """

    def leave(self) -> None:
        """Leave what is still remembered to another process; called by the exporter's thread."""

    def after_fork_in_child(self) -> None:
        """Leave everything to the parent."""

    @property
    def bytes(self) -> int:
        """The memory in use, by the weights of what is queued or being sent."""
        return self._bytes_in - self._bytes_out

    @property
    def waiting(self) -> int:
        """The weight of what was not taken yet."""
        return self._bytes_in - self._bytes_taken

    def take(self) -> tuple[Item, int] | None:
        """The oldest item and its weight, out of the queue."""
        try:
            item = self._items.popleft()
        except IndexError:
            return None
        size = self._weigh(item)
        self._bytes_taken += size
        self.taken += 1
        return item, size

    def release(self, size: int) -> None:
        """Free the bytes of items that are stored, dropped or safe elsewhere."""
        self._bytes_out += size

    def wake_at(self, waiting: float) -> None:
        """Ask to be woken once so many bytes wait; 0: at the next item."""
        self._wake_at = self._bytes_taken + waiting


class Batch(NamedTuple):
    """
    Encoded items that are sent together.

    Args:
        entries: Each as `otelope.export.request.entry` writes it.
        weight: The bytes to release to the queue when they are stored, dropped or safe.
        number: In the order of encoding; what a durable backlog kept of an earlier process has
            negative numbers.
        internal: Our own word about the process: sent, but neither counted nor kept.
        safe: It survives this process.
        request: What wraps them, where that is another process's; None: this one's.
    """

    entries: list[bytes]
    weight: int
    number: int
    internal: bool = False
    safe: bool = False
    request: Callable[[list[bytes]], bytes] | None = None


class Batcher(Generic[Item]):
    """
    Encodes queued items into batches; one that cannot be encoded costs no other.

    Args:
        queue: Where items come from.
        encode: One item as a message of its signal.
        signal: What they are.
        dropped: Told how many items were given up.
    """

    def __init__(
        self,
        queue: Queue[Item],
        encode: Callable[[Item], bytes],
        signal: Signal,
        dropped: Callable[[int], None],
    ) -> None:
        self._queue = queue
        self._encode = encode
        self._signal = signal
        self._dropped = dropped
        self._reported: Counter[str] = Counter()
        self._number = 0
        self._carried: tuple[bytes, int] | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing waits to be encoded or batched."""
        return not self._queue and self._carried is None

    @property
    def cut(self) -> bool:
        """Whether the last batch ended because it was full."""
        return self._carried is not None

    @property
    def last(self) -> int:
        """The number of the newest batch."""
        return self._number

    def batch(self) -> Batch | None:
        """The next batch, of at most 3 MiB unless one item alone is larger; None: no item."""
        entries: list[bytes] = []
        size = held = 0
        if self._carried is not None:
            encoded, held = self._carried
            self._carried = None
            entries.append(encoded)
            size = len(encoded)
        while (taken := self._queue.take()) is not None:
            item, weighs = taken
            try:
                encoded = entry(self._encode(item))
            except Exception as error:  # noqa: BLE001 - the thread must outlive any item
                self._drop(type(error).__name__, weighs)
                continue
            if len(encoded) > MAX_ITEM_BYTES:
                self._drop("TooLarge", weighs)
                continue
            if entries and size + len(encoded) > BATCH_BYTES:
                self._carried = encoded, weighs
                break
            entries.append(encoded)
            size += len(encoded)
            held += weighs
        if not entries:
            return None
        self._number += 1
        return Batch(entries, held, self._number)

    def own(self, message: bytes) -> Batch:
        """A batch of one item of our own, which is not counted."""
        self._number += 1
        return Batch([entry(message)], 0, self._number, internal=True)

    def _drop(self, reason: str, size: int) -> None:
        self._queue.release(size)
        self._dropped(1)
        self._reported[reason] += 1
        if self._reported[reason] == 1:
            # Neither the item nor the exception's text: both may quote a message body.
            _logger.error(
                "A %s could not be encoded (%s) and is dropped; others are not affected. "
                "Reported once; otelope.%s.dropped counts.",
                self._signal.item,
                reason,
                self._signal.items,
            )
