"""Group commit: requests that wait together are inserted together, each acknowledged after it."""

from __future__ import annotations

import hashlib
import logging
import threading

from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

from otelope.collector.otlp import Rows
from otelope.store import Store, StoreError


_logger = logging.getLogger(__name__)

# A block of this many rows costs as little per row as a larger one (66 k rows/s at 1 k), and
# keeps a token of its own: after a crash the sender's retry is recognised as the same block.
_OWN_BLOCK_ROWS = 500
_MAX_BLOCK_BYTES = 16 * 1024 * 1024
_MAX_WAITING_BYTES = 128 * 1024 * 1024


class BusyError(Exception):
    """The store does not keep up, or is about to close: the sender shall try again later."""


class _Waiting(NamedTuple):
    rows: Rows
    future: Future[None]


class GroupCommit:
    """
    The one thread that writes.

    A block that was committed and not acknowledged before a crash is recognised when it comes
    again if it was one request. Small requests, grouped, come again in other company: their
    envelopes and deliveries still count once, by their ids; their plain log rows may be double.

    Args:
        store: Where to.
        max_waiting_bytes: More than this is not taken into memory.
    """

    def __init__(self, store: Store, max_waiting_bytes: int = _MAX_WAITING_BYTES) -> None:
        self._store = store
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="otelope-commit")
        self._thread.start()

    def submit(self, rows: Rows) -> Future[None]:
        """
        Queue rows; the future is done when they are committed, or holds a `StoreError`.

        Raises:
            BusyError: Too much is waiting, or `close` was called.
        """
        future: Future[None] = Future()
        if not rows.size:
            future.set_result(None)
            return future
        with self._changed:
            if self._closing:
                raise BusyError("The collector is stopping.")
            # A single request may always wait: its size is bounded by the servers.
            if self._waiting and self._waiting_bytes + len(rows.data) > self._max_waiting_bytes:
                raise BusyError("The store does not keep up with what arrives.")
            self._waiting.append(_Waiting(rows, future))
            self._waiting_bytes += len(rows.data)
            self._changed.notify()
        return future

    def close(self) -> None:
        """Commit what waits, then stop. Returns when it is done."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        group: list[_Waiting] = []
        try:
            while group := self._next_group():
                error = self._commit(group)
                if error is not None and len(group) > 1:
                    # One request must not take the others with it for ever.
                    for waiting in group:
                        _settle([waiting], self._commit([waiting]))
                else:
                    _settle(group, error)
        finally:
            # Also when a defect ends this thread: nobody may wait for it in vain.
            with self._changed:
                self._closing = True
                stranded = [waiting for waiting in group if not waiting.future.done()]
                stranded.extend(self._waiting)
                self._waiting.clear()
            _settle(stranded, StoreError("The collector has stopped writing."))

    def _next_group(self) -> list[_Waiting]:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            group: list[_Waiting] = []
            size = 0
            while self._waiting and (not group or self._joins(group[0], size)):
                waiting = self._waiting.popleft()
                self._waiting_bytes -= len(waiting.rows.data)
                # False: its sender has gone, and was told nothing.
                if waiting.future.set_running_or_notify_cancel():
                    group.append(waiting)
                    size += len(waiting.rows.data)
                if not group and not self._waiting and not self._closing:
                    self._changed.wait()
            return group

    def _joins(self, first: _Waiting, size: int) -> bool:
        rows = self._waiting[0].rows
        return (
            rows.table == first.rows.table
            and max(rows.size, first.rows.size) < _OWN_BLOCK_ROWS
            and size + len(rows.data) <= _MAX_BLOCK_BYTES
        )

    def _commit(self, group: list[_Waiting]) -> StoreError | None:
        data = b"".join([waiting.rows.data for waiting in group])
        token = hashlib.blake2b(data, digest_size=16).hexdigest()
        try:
            self._store.ingest(group[0].rows.table, data, token)
        except StoreError as error:
            _logger.warning("%d requests are not committed: %s", len(group), error)
            return error
        return None


def _settle(group: list[_Waiting], error: StoreError | None) -> None:
    for waiting in group:
        if error is None:
            waiting.future.set_result(None)
        else:
            waiting.future.set_exception(error)
