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

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelope.core.guard import guard
from otelope.export.backlog import Backlog
from otelope.export.batching import BATCH_BYTES, Batch, Batcher, Queue
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
        queue: Makes what items are put into; called as `Queue` is.
    """

    def __init__(
        self, job: Job[Item], backlog: Backlog, queue: Callable[..., Queue[Item]] = Queue
    ) -> None:
        self.queue = queue(job.capacity, self.wake, job.weigh)
        self.backlog = backlog
        self.delivery = Delivery()
        self.outage = Outage(job.target, job.signal.items, backlog.where)
        self.senders = Senders(job.connect, job.wrap, self._receive)
        self._job = job
        # Where more waits, the collector does not keep up: new items may soon be refused.
        self._pressing = job.capacity // 2
        self._enough = min(BATCH_BYTES, self._pressing)
        self._batcher = Batcher(self.queue, job.encode, job.signal, self.delivery.drop)
        self._inbox: SimpleQueue[Flush | Attempt | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._sending: dict[int, Batch] = {}
        self._kept: dict[int, bool] = {}
        self._flushes = Flushes()
        self._due = math.inf
        self._status_due = -math.inf
        self._told: tuple[int, ...] = ()
        self._last_word: int | None = None
        self._refusal_reported = False
        self._closed = False

    @property
    def dropped(self) -> int:
        """How many items were accepted, and given up all the same."""
        return self.delivery.dropped + self.backlog.lost

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
        # A thread that runs though nothing was accepted delivers what others left.
        if self._closed or not (self.queue.accepted or self._starting.locked()):
            return None
        request = Flush(self.queue.accepted, self.dropped, closing=closing)
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

    def leave(self) -> None:
        """Let go of what is the parent's, in a forked child."""
        self.backlog.after_fork_in_child()
        self.queue.after_fork_in_child()

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
        if self._closed:
            with guard:
                self._end()

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
            batch = self.backlog.next() or self._filled(now)
            if batch is None:
                break
            self._kept.pop(batch.number, None)
            if batch.entries:
                self._send(batch)
        self._save(now)
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

    def _save(self, now: float) -> None:
        """Let a durable backlog have what may be lost if it stays in memory."""
        ends = bool(self.outage) or self._flushes.closing
        if ends:
            for sent in self._sending.values():
                if not sent.internal:
                    self.backlog.copy(sent)
        if ends or self.queue.waiting > self._pressing:
            while self.backlog.durable and (batch := self._filled(now)) is not None:
                self._keep(batch)

    def _may_send(self) -> bool:
        # During an outage one batch at a time asks whether it is over.
        return len(self._sending) < (1 if self.outage else _IN_FLIGHT)

    def _filled(self, now: float) -> Batch | None:
        """A batch, when enough waits for one, or long enough, or someone flushes."""
        if self.queue.waiting < self._enough and now < self._due and not self._flushes:
            return None
        batch = self._batcher.batch()
        if not self._batcher.cut:
            self._due = math.inf
        return batch

    def _send(self, batch: Batch) -> None:
        busy = len(self._sending)
        self._sending[batch.number] = batch
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
        return queue.accepted, queue.refused, delivery.stored, self.dropped

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
        del self._sending[batch.number]
        self.outage.learn(done, hurried=bool(self._flushes))
        if batch.internal:
            return
        self.delivery.stored += done.stored
        self.delivery.dropped += done.dropped
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
            self._keep(batch._replace(entries=done.remaining, weight=remaining))
        else:
            self.backlog.forget(batch)

    def _keep(self, batch: Batch) -> None:
        kept = self.backlog.keep(batch)
        self._kept[kept.number] = kept.safe
        self.queue.release(batch.weight - kept.weight)

    def _pause(self, deadline: float) -> float:
        """How long nothing is to be done unless a message comes; infinity: for ever."""
        moment = deadline
        empty = self._batcher.empty
        durable = self.backlog.durable
        if not self._may_send() and not (self.outage and durable):
            # An attempt will come back, which wakes us.
            self.queue.wake_at(self._pressing if durable else math.inf)
            if durable and self.queue.waiting > self._pressing:
                return 0
        elif self.outage and not durable:
            pending = not empty or len(self.backlog) > 0
            self.queue.wake_at(math.inf if pending else 0)
            if pending or not self._batcher.empty:
                moment = min(moment, self.outage.until)
        else:
            self.queue.wake_at(0 if empty else self._enough)
            # What came in before that line did not wake us: look again.
            if self.queue.waiting >= self._enough:
                return 0
            if self._due == math.inf and not self._batcher.empty:
                return 0
            moment = min(moment, self._due)
            if self._may_send():
                waits = -math.inf if len(self.backlog) else self.backlog.due
                moment = min(moment, max(waits, self.outage.until))
        if self._status_wanted():
            moment = min(moment, self._status_due)
        return max(0.0, moment - time.monotonic())

    def _answer(self) -> None:
        """Tell those who flush that it is done, and end when one of them closes."""
        self._settle_queue()
        self._flushes.fence(self.queue.taken, self._last)
        outstanding = self._at_risk if self._flushes.closing else {*self._sending, *self._kept}
        for flush in self._flushes.settled(outstanding):
            if flush.closing:
                if self._last_word is None and not self.outage:
                    self._last_word = self._report()
                if self._last_word in self._sending:
                    continue
                self._closed = True
                self._end()
            delivered = not self._kept and self.dropped == flush.dropped
            self._flushes.answer(flush, delivered=delivered)
        if self._closed:
            self.senders.stop()

    @property
    def _last(self) -> int:
        """The number of the batch that has, or will have, what was taken last."""
        return self._batcher.last + self._batcher.cut

    @property
    def _at_risk(self) -> set[int]:
        """The batches that this process has to deliver: no other would find them."""
        return {*self._sending, *(number for number, safe in self._kept.items() if not safe)}

    def _end(self) -> None:
        """Leave what is on disk to others; may be called again."""
        self._settle_queue()
        self.queue.leave()
        self.backlog.close()

    def _settle_queue(self) -> None:
        self.queue.settle(self._last, self._at_risk)
