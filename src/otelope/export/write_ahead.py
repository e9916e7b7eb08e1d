"""A queue whose items are on disk before its caller goes on: not even SIGKILL loses them."""

from __future__ import annotations

import logging
import math
import os
import threading
import time

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from otelope.export import segments
from otelope.export.batching import BATCH_BYTES, Queue
from otelope.export.job import Job
from otelope.export.request import entry
from otelope.export.segments import Lease


_logger = logging.getLogger("otelope")

# Of a bytes object and its place in the queue.
_OVERHEAD = 64


def accepts_messages(job: Job[Any]) -> Job[Any]:
    """The job, whose items may also be messages of its signal already."""
    encode, weigh = job.encode, job.weigh
    return replace(
        job,
        encode=lambda item: item if type(item) is bytes else encode(item),
        weigh=lambda item: len(item) + _OVERHEAD if type(item) is bytes else weigh(item),
    )


class _Full:
    """A segment that is no longer written to."""

    def __init__(self, path: Path, target: int) -> None:
        self.path = path
        self.target = target
        """How many items had been accepted when it was full."""
        self.fence: int | None = None
        """The number of the last batch with an item of it, once that is known."""


class WriteAhead(Queue[Any]):
    """
    Writes items to a segment of their own, waits for the disk, and queues them encoded.

    They are sent from memory; a later process sends what is in segments that are still there.
    Where the disk fails, items are queued all the same.

    Args:
        capacity, wake, weigh: As of `Queue`.
        encode: One item as a message of its signal.
        wrap: Entries to a request.
        root: The directory of this signal's segments.
    """

    def __init__(
        self,
        capacity: int,
        wake: Callable[[], None],
        weigh: Callable[[Any], int],
        *,
        encode: Callable[[Any], bytes],
        wrap: Callable[[list[bytes]], bytes],
        root: Path,
    ) -> None:
        super().__init__(capacity, wake, weigh)
        self._encode = encode
        self._wrap = wrap
        self._root = root
        # Both re-entrant, for signal handlers that put; the exporter's thread waits for neither.
        self._writing = threading.RLock()
        self._synchronizing = threading.RLock()
        self._lease: Lease | None = None
        self._path = root
        self._file = -1
        self._size = 0
        self._full: deque[_Full] = deque()
        self._written = 0
        self._synchronized = 0
        self._retry_at = -math.inf
        self._left = False

    def put(self, item: Any) -> None:
        """Queue an item when it is on disk; a refused one is not queued, but may be there."""
        try:
            message = self._encode(item)
            request = self._wrap([entry(message)])
        except Exception:  # noqa: BLE001 - the exporter's thread will meet it too, and say so
            super().put(item)
            return
        with self._writing:
            written = self._write(request)
            super().put(message)
        if written:
            self._synchronize(written)

    def settle(self, last: int, at_risk: set[int]) -> None:
        """Remove the segments whose items are all stored, dropped or safe elsewhere."""
        for full in tuple(self._full):
            if full.fence is None and self.taken >= full.target:
                full.fence = last
            if full.fence is None or any(number <= full.fence for number in at_risk):
                return
            self._full.popleft()
            full.path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Close the segment; it is removed if nothing of it is left to be delivered."""
        # Never waited for: whom a signal handler has interrupted may hold it. Nor is a descriptor
        # closed that somebody writes to: its number could be the host's next file.
        if not self._writing.acquire(blocking=False):
            return
        try:
            if self._synchronizing.acquire(blocking=False):
                try:
                    self._leave()
                finally:
                    self._synchronizing.release()
        finally:
            self._writing.release()

    def _leave(self) -> None:
        self._left = True
        self._close()
        if self._size and not self.bytes:
            self._path.unlink(missing_ok=True)
        if self._lease is not None:
            self._lease.end()

    def _close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def after_fork_in_child(self) -> None:
        """Leave everything to the parent."""
        self._left = True
        self._close()
        if self._lease is not None:
            self._lease.leave()

    def _write(self, request: bytes) -> int:
        """Write, without waiting for the disk; what to wait for, 0: nothing was written."""
        if self._left or time.monotonic() < self._retry_at:
            return 0
        try:
            self._make_room(len(request))
            segments.write(self._file, request)
        except OSError as error:
            self._fail(error)
            return 0
        self._size += len(request)
        self._written += 1
        return self._written

    def _make_room(self, size: int) -> None:
        if self._file >= 0 and self._size and not self.bytes:
            # All of it is stored or safe: nothing that a later process should send again.
            os.ftruncate(self._file, 0)
            self._size = 0
        if self._file >= 0 and self._size + size > BATCH_BYTES:
            with self._synchronizing:
                segments.synchronize(self._file)
                self._synchronized = self._written
                self._close()
            self._full.append(_Full(self._path, self.accepted))
        if self._file < 0:
            self._lease = segments.lease_of(self._lease, self._root)
            self._path, self._size = self._lease.new_segment(b""), 0
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def _synchronize(self, position: int) -> None:
        with self._synchronizing:
            # Who waited has often been waited for: one call of the disk serves all threads.
            if position <= self._synchronized or self._file < 0:
                return
            written = self._written
            try:
                segments.synchronize(self._file)
            except OSError as error:
                self._fail(error)
            else:
                self._synchronized = written
                self.failure = None

    def _fail(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + segments.RETRY_AFTER
        if self.failure is None:
            self.failure = error.strerror or str(error)
            _logger.error(
                "Records cannot be written to %s ahead of their sends (%s); until they can, they "
                "wait in memory only.",
                self._root,
                self.failure,
            )
