"""Threads that deliver batches; an item that a collector refuses is isolated from the others."""

from __future__ import annotations

import logging
import threading

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelope.export.batching import Batch
from otelope.export.transport import Refused, Transport, Unavailable


_logger = logging.getLogger("otelope")

# Halving finds one refused item among 2,500 with 24 requests. When so many were refused and
# none accepted, it is the collector that refuses everything: halving on would be 5,000 requests.
_REFUSALS_WITHOUT_SUCCESS = 32


class Attempt:
    """
    What became of a batch.

    Args:
        batch: As it was handed in.
        remaining: The entries to send again.
        unavailable: Why they remain.

    Beside these: how many items were ``stored``, how many ``dropped`` because they were
    ``refused``, and the seconds that the collector asked to wait, ``retry_after``.
    """

    def __init__(
        self, batch: Batch, remaining: list[bytes] | None = None, unavailable: str | None = None
    ) -> None:
        self.batch = batch
        self.stored = 0
        self.dropped = 0
        self.remaining = remaining or []
        self.unavailable = unavailable
        self.retry_after: float | None = None
        self.refused: str | None = None


def attempt(transport: Transport, wrap: Callable[[list[bytes]], bytes], batch: Batch) -> Attempt:
    """Send a batch; halve what is refused until the refused items stand alone."""
    done = Attempt(batch)
    wrap = batch.request or wrap
    parts = deque([batch.entries])
    refusals = 0
    while parts:
        part = parts.popleft()
        try:
            rejected = min(transport.send(wrap(part)), len(part))
        except Refused as error:
            refusals += 1
            done.refused = str(error)
            if len(part) == 1:
                done.dropped += 1
            elif refusals >= _REFUSALS_WITHOUT_SUCCESS and not done.stored:
                done.dropped += len(part) + sum(map(len, parts))
                break
            else:
                # Breadth first, so that a collector that takes anything is soon seen to.
                middle = len(part) // 2
                parts += (part[:middle], part[middle:])
        except Unavailable as error:
            done.unavailable = str(error)
            done.retry_after = error.retry_after
            done.remaining = [entry for rest in (part, *parts) for entry in rest]
            break
        else:
            done.stored += len(part) - rejected
            done.dropped += rejected
            if rejected:
                done.refused = "partial success"
    return done


class Senders:
    """
    Up to as many threads as batches are on their way at once.

    Args:
        connect: Opens the transport, when the first batch is sent.
        wrap: Entries to a request.
        results: Told what became of each batch.
    """

    def __init__(
        self,
        connect: Callable[[], Transport],
        wrap: Callable[[list[bytes]], bytes],
        results: Callable[[Attempt], None],
    ) -> None:
        self._connect = connect
        self._wrap = wrap
        self._results = results
        self._batches: SimpleQueue[Batch | None] = SimpleQueue()
        self._threads = 0
        self._transport: Transport | None = None
        self.connecting = threading.Lock()
        """Held while the transport is opened, which imports it, and where a sending begins."""
        self._on_their_way = 0
        self._ended = threading.Condition()
        self._stopped = False

    def connect(self) -> None:
        """Open the transport now; failing, the first batch says why."""
        try:
            self._connected()
        except Exception:  # as in `_attempt`
            _logger.debug("The transport could not be opened ahead", exc_info=True)

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait, seconds, until nothing is on its way, while `connecting` lets nothing begin."""
        with self._ended:
            return self._ended.wait_for(lambda: not self._on_their_way, timeout)

    def send(self, batch: Batch, busy: int) -> None:
        """
        Deliver a batch.

        Args:
            batch: What to deliver.
            busy: How many others are on their way.
        """
        if busy >= self._threads:
            try:
                threading.Thread(target=self._work, name="otelope-send", daemon=True).start()
                self._threads += 1
            except RuntimeError:
                # No thread can be started: the interpreter ends, or the limit is reached.
                if not self._threads:
                    self._results(self._attempt(batch))
                    return
        self._batches.put(batch)

    def stop(self) -> None:
        """
        End the threads and close the transport.

        Takes no lock: a signal handler that calls this may have interrupted an import that a
        thread of ours, holding the lock, waits for.
        """
        self._stopped = True
        for _ in range(self._threads):
            self._batches.put(None)
        if self._transport is not None:
            self._transport.close()

    def _work(self) -> None:
        with suppress_instrumentation():
            while (batch := self._batches.get()) is not None:
                self._results(self._attempt(batch))

    def _attempt(self, batch: Batch) -> Attempt:
        # The one place in this thread that catches everything: a batch must outlive whatever a
        # library raises.
        try:
            transport = self._connected(sends=True)
            try:
                return attempt(transport, self._wrap, batch)
            finally:
                with self._ended:
                    self._on_their_way -= 1
                    self._ended.notify_all()
        except Exception as error:
            if not self._stopped:
                _logger.debug("A transport raised unexpectedly", exc_info=True)
            reason = str(error) if isinstance(error, Unavailable) else _described(error)
            return Attempt(batch, remaining=batch.entries, unavailable=reason)

    def _connected(self, *, sends: bool = False) -> Transport:
        with self.connecting:
            if self._transport is None:
                transport = self._connect()
                self._transport = transport
                if self._stopped:
                    transport.close()
            if sends:
                with self._ended:
                    self._on_their_way += 1
            return self._transport


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
