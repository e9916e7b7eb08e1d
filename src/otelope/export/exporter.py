"""
The exporter's thread: it batches, hands batches to a few sending threads, and waits out outages.

Everything it decides with belongs to that one thread; other threads speak to it through its inbox
only (`queue.SimpleQueue`, whose ``put`` may interrupt itself: signal handlers and finalizers call
us). So there is no lock here that a signal handler or a fork could find held.
"""

from __future__ import annotations

import logging
import math
import threading
import time

from queue import Empty, SimpleQueue
from typing import Generic

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelope.core.guard import guard
from otelope.export.batching import BATCH_BYTES, Backlog, Batch, Batcher, Queue
from otelope.export.flushing import Flush, Flushes
from otelope.export.job import Delivery, Item, Job
from otelope.export.outage import Outage
from otelope.export.sending import Attempt, Senders


_logger = logging.getLogger("otelope")

# With a collector that takes 200 ms a call, 4 batches of 3 MiB in flight carry 60 MiB/s.
_IN_FLIGHT = 4
_STATUS_INTERVAL = 60.0


class Exporter(Generic[Item]):
    """
    Delivers what is put into its queue. Belongs to one process: a fork needs another.

    Args:
        job: What it works with.
        backlog: Where batches wait that could not be sent.
    """

    def __init__(self, job: Job[Item], backlog: Backlog) -> None:
        self.queue = Queue(job.capacity, self.wake, job.weigh)
        self.delivery = Delivery()
        self.outage = Outage(job.target, job.signal.items)
        self.senders = Senders(job.connect, job.wrap, self._receive)
        self._job = job
        self._backlog = backlog
        self._batcher = Batcher(self.queue, job.encode, job.signal, self.delivery.drop)
        self._inbox: SimpleQueue[Flush | Attempt | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._sending: set[int] = set()
        self._kept: set[int] = set()
        self._flushes = Flushes()
        self._due = math.inf
        self._status_due = -math.inf
        self._told: tuple[int, ...] = ()
        self._last_word: int | None = None
        self._refusal_reported = False
        self._closed = False

    def flush(self, timeout: float, *, closing: bool = False) -> bool:
        """
        Wait until everything accepted so far is acknowledged.

        Args:
            timeout: Seconds to wait at most.
            closing: Then send a last word about this process, and end.

        Returns:
            Whether all of it was acknowledged in time.
        """
        request = self.hurry(closing=closing)
        if request is None:
            return not self.queue.bytes
        if not self._started():
            # Since Python 3.12 no thread can be started while the interpreter ends.
            self._run(time.monotonic() + timeout, request)
            timeout = 0
        try:
            return request.answer.get(timeout=timeout)
        except Empty:
            request.abandoned = True
            return False

    def hurry(self, *, closing: bool = False) -> Flush | None:
        """Begin to deliver everything accepted so far; None where nobody will."""
        if not self.queue.accepted or self._closed:
            return None
        request = Flush(self.queue.accepted, self.delivery.dropped, closing=closing)
        self._inbox.put(request)
        if self._closed:  # meanwhile: nobody reads it any more
            return None
        self._started()
        return request

    def abandon(self) -> None:
        """End the threads, whatever is still on its way; takes no lock."""
        self._closed = True
        self._inbox.put(None)
        self.senders.stop()

    def wake(self) -> None:
        """Let the thread look at the queue, and start it if need be."""
        if self._started():
            self._inbox.put(None)

    def _receive(self, done: Attempt) -> None:
        self._inbox.put(done)

    def _started(self) -> bool:
        # Held for good once the thread runs; never waited for, so it cannot deadlock.
        if self._starting.acquire(blocking=False):
            try:
                threading.Thread(target=self._run, name="otelope-export", daemon=True).start()
            except RuntimeError:
                self._starting.release()
                return False
        return True

    def _run(self, deadline: float = math.inf, request: Flush | None = None) -> None:
        with suppress_instrumentation():
            # Now, not with the first batch: where a signal handler has interrupted an import of
            # the host's, no other thread can import until it returns.
            self.senders.connect()
            while not self._closed and time.monotonic() < deadline:
                pause = self._job.interval
                with guard:
                    self._advance(time.monotonic())
                    self._answer()
                    pause = self._pause(deadline)
                if self._closed:
                    break
                if request is not None and request.answered:
                    break
                try:
                    message = self._inbox.get(timeout=None if pause == math.inf else pause)
                except Empty:
                    continue
                with guard:
                    self._take(message)
        self._flushes.dismiss()

    def _take(self, message: Flush | Attempt | None) -> None:
        if isinstance(message, Attempt):
            self._settle(message)
        elif message is not None:
            self._flushes.add(message)
            self.outage.hurry(closing=message.closing)

    def _advance(self, now: float) -> None:
        """Send what is to be sent."""
        if self._batcher.empty:
            self._due = math.inf
        elif self._due == math.inf:
            self._due = now + self._job.interval
        while now >= self.outage.until and self._may_send():
            batch = self._backlog.next() or self._filled(now)
            if batch is None:
                break
            self._kept.discard(batch.number)
            self._send(batch)
        if self.outage and self._backlog.durable:
            while (batch := self._filled(now)) is not None:
                self._keep(batch)
        if self._status_wanted() and now >= self._status_due:
            self._report()
        if self.queue.refused and not self._refusal_reported:
            self._refusal_reported = True
            _logger.error(
                "The queue of %s is full (OTELOPE_QUEUE_BYTES): %s does not take them fast "
                "enough, new ones are dropped. Reported once; otelope.%s.dropped counts.",
                self._job.signal.items,
                self._job.target,
                self._job.signal.items,
            )

    def _may_send(self) -> bool:
        # During an outage one batch at a time asks whether it is over.
        return len(self._sending) < (1 if self.outage else _IN_FLIGHT)

    def _filled(self, now: float) -> Batch | None:
        """A batch, when enough waits for one, or long enough, or someone flushes."""
        if self.queue.waiting < BATCH_BYTES and now < self._due and not self._flushes:
            return None
        batch = self._batcher.batch()
        if not self._batcher.cut:
            self._due = math.inf
        return batch

    def _send(self, batch: Batch) -> None:
        busy = len(self._sending)
        self._sending.add(batch.number)
        self.senders.send(batch, busy)

    def _status_wanted(self) -> bool:
        return (
            self._job.status is not None
            and self.delivery.stored > 0
            and not self.outage
            and self._told != self._counts()
        )

    def _counts(self) -> tuple[int, ...]:
        queue, delivery = self.queue, self.delivery
        return queue.accepted, queue.refused, delivery.stored, delivery.dropped

    def _report(self) -> int | None:
        """Send what the process says of itself; the number of the batch."""
        if self._job.status is None:
            return None
        self._status_due = time.monotonic() + _STATUS_INTERVAL
        self._told = self._counts()
        batch = self._batcher.own(self._job.status())
        self._send(batch)
        return batch.number

    def _settle(self, done: Attempt) -> None:
        batch = done.batch
        self._sending.discard(batch.number)
        self.outage.learn(done, hurried=bool(self._flushes))
        if batch.internal:
            return
        self.delivery.stored += done.stored
        self.delivery.dropped += done.dropped
        if batch.spooled:
            self.delivery.spooled -= len(batch.entries)
        if done.dropped:
            _logger.error(
                "%s refused %d of %d %s for good (%s); they are dropped, the others are not.",
                self._job.target,
                done.dropped,
                len(batch.entries),
                self._job.signal.items,
                done.refused,
            )
        remaining = batch.weight * len(done.remaining) // len(batch.entries)
        self.queue.release(batch.weight - remaining)
        if done.remaining:
            self._keep(Batch(done.remaining, remaining, batch.number))
        else:
            self._backlog.forget(batch)

    def _keep(self, batch: Batch) -> None:
        self._kept.add(batch.number)
        if self._backlog.durable:
            self.queue.release(batch.weight)
            self.delivery.spooled += len(batch.entries)
            batch = Batch(batch.entries, 0, batch.number, spooled=True)
        self._backlog.keep(batch)

    def _pause(self, deadline: float) -> float:
        """How long nothing is to be done unless a message comes; infinity: for ever."""
        moment = deadline
        empty = self._batcher.empty
        if not self._may_send():
            self.queue.wake_at(math.inf)  # an attempt will come back, which wakes us
        elif self.outage and not self._backlog.durable:
            pending = not empty or len(self._backlog) > 0
            self.queue.wake_at(math.inf if pending else 0)
            if pending or not self._batcher.empty:
                moment = min(moment, self.outage.until)
        else:
            self.queue.wake_at(0 if empty else BATCH_BYTES)
            # What came in before that line did not wake us: look again.
            if self.queue.waiting >= BATCH_BYTES:
                return 0
            if self._due == math.inf and not self._batcher.empty:
                return 0
            moment = min(moment, self._due)
            if len(self._backlog):
                moment = min(moment, self.outage.until)
        if self._status_wanted():
            moment = min(moment, self._status_due)
        return max(0.0, moment - time.monotonic())

    def _answer(self) -> None:
        """Tell those who flush that it is done, and end when one of them closes."""
        self._flushes.fence(self.queue.taken, self._batcher.last + self._batcher.cut)
        safe = self._flushes.closing and self._backlog.durable
        for flush in self._flushes.settled(self._sending if safe else self._sending | self._kept):
            if flush.closing:
                if self._last_word is None and not self.outage:
                    self._last_word = self._report()
                if self._last_word in self._sending:
                    continue
                self._closed = True
            delivered = not self._kept and self.delivery.dropped == flush.dropped
            self._flushes.answer(flush, delivered=delivered)
        if self._closed:
            self.senders.stop()
