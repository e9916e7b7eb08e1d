"""Records wait in a queue that is bounded in bytes, and leave it in batches of encoded records."""

from __future__ import annotations

import logging
import math
import threading

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from otelope.core.records import Record
from otelope.export.request import entry


_logger = logging.getLogger("otelope")

# What a queued record weighs beside its text: tuples, ids and numbers (tests measure it).
RECORD_BYTES = 1_024
# gRPC servers refuse messages above 4 MiB unless told otherwise.
BATCH_BYTES = 3 * 1024 * 1024
# Larger than any receiver's limit that we know of (the SDK's own limit over HTTP).
MAX_RECORD_BYTES = 64 * 1024 * 1024


def weight(record: Record) -> int:
    """The memory a queued record is accounted with, in bytes."""
    envelope = record[0]
    text = envelope.text
    if text is not None:
        return RECORD_BYTES + len(text)
    payload = envelope.payload
    # Only what cannot change: the same record must weigh the same when it leaves.
    return RECORD_BYTES + (len(payload) if isinstance(payload, bytes | str) else RECORD_BYTES)


class RecordQueue:
    """
    What the host's threads put records into and the exporter's thread takes them from.

    Args:
        capacity: In bytes. It bounds what waits here *and* what is being sent: bytes are free
            again when `release` says so. A record beyond it is refused, the ones before it stay.
        wake: Called by the host's thread when there is enough to do; must be re-entrant.
    """

    def __init__(self, capacity: int, wake: Callable[[], None]) -> None:
        self.accepted = 0
        self.refused = 0
        self.taken = 0
        self._capacity = capacity
        self._wake = wake
        self._wake_at: float = 0
        self._records: deque[Record] = deque()
        self._bytes_in = 0
        self._bytes_taken = 0
        self._bytes_out = 0
        # Among the host's threads only. The exporter's thread never takes it: a signal handler
        # that waits for the exporter may have interrupted its holder. Re-entrant, as handlers
        # and finalizers put records too.
        self._putting = threading.RLock()

    def put(self, record: Record) -> None:
        """Queue a record, or refuse and count it. No I/O; never waits for the exporter."""
        # `weight`, inline: a call less on the host's thread.
        envelope = record[0]
        text = envelope.text
        size = RECORD_BYTES + len(text) if text is not None else weight(record)
        with self._putting:
            if self._bytes_in - self._bytes_out + size > self._capacity:
                self.refused += 1
                return
            self._bytes_in += size
            self.accepted += 1
            self._records.append(record)
        if self._bytes_in >= self._wake_at:
            self._wake_at = math.inf
            self._wake()

    def __len__(self) -> int:
        return len(self._records)

    def close(self) -> None:
        """Refuse whatever comes from now on."""
        self._capacity = 0

    @property
    def bytes(self) -> int:
        """The memory in use, by the weights of what is queued or being sent."""
        return self._bytes_in - self._bytes_out

    @property
    def waiting(self) -> int:
        """The weight of what was not taken yet."""
        return self._bytes_in - self._bytes_taken

    def take(self) -> tuple[Record, int] | None:
        """The oldest record and its weight, out of the queue."""
        try:
            record = self._records.popleft()
        except IndexError:
            return None
        text = record[0].text
        size = RECORD_BYTES + len(text) if text is not None else weight(record)
        self._bytes_taken += size
        self.taken += 1
        return record, size

    def release(self, size: int) -> None:
        """Free the bytes of records that are stored, dropped or safe elsewhere."""
        self._bytes_out += size

    def wake_at(self, waiting: float) -> None:
        """Ask to be woken once so many bytes wait; 0: at the next record."""
        self._wake_at = self._bytes_taken + waiting


class Batch(NamedTuple):
    """
    Encoded records that are sent together.

    Args:
        entries: Each a ``LogRecord`` with its field head inside ``ScopeLogs``.
        weight: The bytes to release to the queue when they are stored, dropped or safe.
        number: In the order of encoding; what a durable backlog kept of an earlier process has
            negative numbers.
        internal: Our own word about the process: sent, but neither counted nor kept.
        spooled: It comes from a durable backlog.
    """

    entries: list[bytes]
    weight: int
    number: int
    internal: bool = False
    spooled: bool = False


class Backlog(Protocol):
    """
    Where batches wait that could not be sent; used by the exporter's thread only.

    This is where a spool on disk takes the place of memory.
    """

    durable: bool
    """Whether what is kept survives this process. Then it counts as spooled, weighs nothing in
    memory, and during an outage everything queued is moved here."""

    def __len__(self) -> int:
        """How many batches it holds."""

    def keep(self, batch: Batch) -> None:
        """Take a batch in; in place of the one of the same number, if that was handed out."""

    def next(self) -> Batch | None:
        """Hand out the oldest batch, to be tried again; then `keep` or `forget` is called."""

    def forget(self, batch: Batch) -> None:
        """All of it arrived or was refused for good. Asked for any batch, also one never kept."""


class MemoryBacklog:
    """Keeps batches in memory, inside the queue's bound, until they are delivered."""

    durable = False

    def __init__(self) -> None:
        self._batches: dict[int, Batch] = {}

    def __len__(self) -> int:
        return len(self._batches)

    def keep(self, batch: Batch) -> None:
        """Take a batch in; there are as many as were on their way at once, at most."""
        self._batches[batch.number] = batch

    def next(self) -> Batch | None:
        """Hand out the oldest batch."""
        return self._batches.pop(min(self._batches)) if self._batches else None

    def forget(self, batch: Batch) -> None:
        """Nothing to do: it left with `next`."""


class Batcher:
    """
    Encodes queued records into batches; a record that cannot be encoded costs no other.

    Args:
        queue: Where records come from.
        encode: One record as a ``LogRecord`` message.
        dropped: Told how many records were given up.
    """

    def __init__(
        self,
        queue: RecordQueue,
        encode: Callable[[Record], bytes],
        dropped: Callable[[int], None],
    ) -> None:
        self._queue = queue
        self._encode = encode
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
        """The next batch, of at most 3 MiB unless one record alone is larger; None: no record."""
        entries: list[bytes] = []
        size = held = 0
        if self._carried is not None:
            encoded, held = self._carried
            self._carried = None
            entries.append(encoded)
            size = len(encoded)
        while (taken := self._queue.take()) is not None:
            record, weighs = taken
            try:
                encoded = entry(self._encode(record))
            except Exception as error:  # noqa: BLE001 - the thread must outlive any record
                self._drop(type(error).__name__, weighs)
                continue
            if len(encoded) > MAX_RECORD_BYTES:
                self._drop("RecordTooLarge", weighs)
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

    def own(self, record: bytes) -> Batch:
        """A batch of one record of our own, which is not counted."""
        self._number += 1
        return Batch([entry(record)], 0, self._number, internal=True)

    def _drop(self, reason: str, size: int) -> None:
        self._queue.release(size)
        self._dropped(1)
        self._reported[reason] += 1
        if self._reported[reason] == 1:
            # Neither the record nor the exception's text: both may quote a message body.
            _logger.error(
                "A record could not be encoded (%s) and is dropped; others are not affected. "
                "Reported once; otelope.records.dropped counts.",
                reason,
            )
