"""A backlog on disk: what waits there is not lost with the process, however that ends."""

from __future__ import annotations

import heapq
import logging
import math
import time

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from otelope.export import segments
from otelope.export.backlog import MemoryBacklog
from otelope.export.batching import BATCH_BYTES, Batch
from otelope.export.request import Request, read_requests
from otelope.export.segments import Lease
from otelope.export.signals import Signal


_logger = logging.getLogger("otelope")

# The number of the first batch that another process left: older than any of our own.
_FIRST_ADOPTED = -(1 << 62)
# Seconds between two looks for what others left, and between two at what all of them take.
_ADOPTION_INTERVAL = 60.0
_SIZE_INTERVAL = 1.0


@dataclass
class _Segment:
    path: Path
    lease: Lease
    size: int = 0
    count: int = 0
    """Of its items; 0 while what another process left has not been read."""


class Spool:
    """
    Keeps batches on disk, and takes over what ended processes left there.

    Where the disk fails or the limit is reached, what comes then waits in memory.

    Args:
        root: The directory of this signal's segments; other processes use it too.
        limit: The bytes that all of them may take.
        signal: What the items are.
        wrap: Entries to a request of this process.
    """

    def __init__(
        self, root: Path, limit: int, signal: Signal, wrap: Callable[[list[bytes]], bytes]
    ) -> None:
        self.where = f"in {root}, up to OTELOPE_SPOOL_BYTES"
        self.spooled = self.adopted = self.lost = 0
        self._root = root
        self._limit = limit
        self._signal = signal
        self._wrap = wrap
        self._memory = MemoryBacklog()
        self._segments: dict[int, _Segment] = {}
        self._waiting: list[int] = []
        self._last: int | None = None
        self._lease: Lease | None = None
        self._adopted_leases: list[Lease] = []
        self._next_adopted = _FIRST_ADOPTED
        self.due = self._size_due = self._retry_at = -math.inf
        self._size = 0
        self.failure: str | None = None

    @property
    def durable(self) -> bool:
        """Whether there is room, and the disk did not fail a moment ago; if not, it is told."""
        now = time.monotonic()
        if now < self._retry_at:
            return False
        if now >= self._size_due:
            self._size_due = now + _SIZE_INTERVAL
            self._size = segments.bytes_in(self._root)
        if self._size >= self._limit:
            self._tell("it is full")
            return False
        return True

    def __len__(self) -> int:
        return len(self._waiting) + len(self._memory)

    def keep(self, batch: Batch) -> Batch:
        """Take a batch in, together with the last one if there is room in its segment."""
        segment = self._segments.get(batch.number)
        if segment is not None:
            self._keep_rest(segment, batch)
            return batch._replace(weight=0, safe=True)
        if self.durable:
            try:
                return self._write(batch)
            except OSError as error:
                self._fail(error)
        return self._memory.keep(batch)

    def copy(self, batch: Batch) -> None:
        """Keep what is on its way, in a segment of its own."""
        if batch.number not in self._segments and self.durable:
            try:
                self._begin(batch)
            except OSError as error:
                self._fail(error)

    def next(self) -> Batch | None:
        """Hand out the oldest batch, first of all what others left."""
        self._adopt()
        if not self._waiting:
            return self._memory.next()
        number = heapq.heappop(self._waiting)
        if number == self._last:
            self._last = None
        batch = self._read(number)
        if not batch.entries:
            self._remove(number)
        return batch

    def forget(self, batch: Batch) -> None:
        """Remove what arrived."""
        if batch.number in self._segments:
            self._remove(batch.number)

    def close(self) -> None:
        """Let another process deliver what is still there."""
        for lease in self._leases():
            lease.end()

    def after_fork_in_child(self) -> None:
        """Leave everything to the parent."""
        for lease in self._leases():
            lease.leave()

    def _leases(self) -> list[Lease]:
        return self._adopted_leases + ([] if self._lease is None else [self._lease])

    def _write(self, batch: Batch) -> Batch:
        last = self._last
        if last is None or not self._append(self._segments[last], batch):
            self._begin(batch)
            last = self._last = batch.number
            heapq.heappush(self._waiting, last)
        self.failure = None
        return batch._replace(weight=0, number=last, safe=True)

    def _append(self, segment: _Segment, batch: Batch) -> bool:
        request = self._wrap(batch.entries)
        if segment.size + len(request) > BATCH_BYTES:
            return False
        segments.append(segment.path, request)
        self._grow(segment, len(request), len(batch.entries))
        return True

    def _begin(self, batch: Batch) -> None:
        self._lease = segments.lease_of(self._lease, self._root)
        request = self._wrap(batch.entries)
        segment = _Segment(self._lease.new_segment(request), self._lease)
        self._segments[batch.number] = segment
        self._grow(segment, len(request), len(batch.entries))

    def _keep_rest(self, segment: _Segment, batch: Batch) -> None:
        heapq.heappush(self._waiting, batch.number)
        if len(batch.entries) == segment.count:
            return
        request = (batch.request or self._wrap)(batch.entries)
        try:
            segments.replace(segment.path, request)
        except OSError as error:
            self._fail(error)  # what arrived of it will be sent once more
        else:
            self._grow(segment, len(request) - segment.size, len(batch.entries) - segment.count)

    def _grow(self, segment: _Segment, size: int, count: int) -> None:
        segment.size += size
        segment.count += count
        self._size += size
        self.spooled += count

    def _remove(self, number: int) -> None:
        segment = self._segments.pop(number)
        self._grow(segment, -segment.size, -segment.count)
        lease = segment.lease
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            self._fail(error)
        if lease is not self._lease and lease.remove():
            self._adopted_leases.remove(lease)
        if not self._segments:
            self.failure = None

    def _read(self, number: int) -> Batch:
        """What a segment holds, as far as it can be read; without entries, that is nothing."""
        segment = self._segments[number]
        try:
            written = segment.path.read_bytes()
        except OSError as error:
            _logger.error(  # noqa: TRY400 - the reason is told, where it happened is known
                "%s cannot be read (%s): %d %s of this process are lost.",
                segment.path,
                error.strerror,
                segment.count,
                self._signal.items,
            )
            self.lost += segment.count
            return Batch([], 0, number)
        request, entries, end = _readable(written)
        if end < len(written):
            # A machine that lost its power may have left the last write unfinished.
            _logger.warning(
                "%s: %d %s are read, the last %d bytes are none.",
                segment.path,
                len(entries),
                self._signal.items,
                len(written) - end,
            )
            if not entries:
                segments.set_aside(segment.path)
        if segment.count:
            self.lost += segment.count - len(entries)
        else:
            self.adopted += len(entries)
        self._grow(segment, 0, len(entries) - segment.count)
        return Batch(entries, 0, number, request=request)

    def _adopt(self) -> None:
        now = time.monotonic()
        if now < self.due:
            return
        self.due = now + _ADOPTION_INTERVAL
        left = []
        for lease in segments.leases_left(self._root):
            found = lease.segments()
            left += [(path, size, lease) for path, size in found]
            if found:
                self._adopted_leases.append(lease)
            else:
                lease.leave()
        for path, size, lease in sorted(left, key=lambda segment: segment[0].name):
            self._segments[self._next_adopted] = _Segment(path, lease, size)
            heapq.heappush(self._waiting, self._next_adopted)
            self._next_adopted += 1

    def _fail(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + segments.RETRY_AFTER
        self._tell(error.strerror or str(error))

    def _tell(self, failure: str) -> None:
        if self.failure is None:
            self.failure = failure
            _logger.error(
                "No more %s can be kept in %s (%s): they wait in memory, up to "
                "OTELOPE_QUEUE_BYTES. OTELOPE_SPOOL_BYTES says what the directory may take.",
                self._signal.items,
                self._root,
                failure,
            )


def _readable(written: bytes) -> tuple[Request | None, list[bytes], int]:
    request: Request | None = None
    entries: list[bytes] = []
    end = 0
    try:
        # Of one process, which wraps all alike.
        for request, more, end in read_requests(written):  # noqa: B007 - the last of them
            entries += more
    except ValueError:
        pass
    return request, entries, end
