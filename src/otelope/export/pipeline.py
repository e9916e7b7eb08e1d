"""The export lane: takes records and spans in the host's threads, delivers them in its own."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time

from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from otelope.core.guard import guard
from otelope.core.records import Record
from otelope.core.settings import Settings
from otelope.export.backlog import Backlog, MemoryBacklog
from otelope.export.connecting import open_transport
from otelope.export.counters import Counters, observe
from otelope.export.destination import destination
from otelope.export.exporter import Exporter
from otelope.export.job import Item, Job
from otelope.export.record import Encoder, KindOf, process_record
from otelope.export.record import weight as weight_of_record
from otelope.export.request import Request
from otelope.export.signals import LOGS, TRACES, Signal
from otelope.export.transport import Transport
from otelope.model import semconv


if TYPE_CHECKING:
    from otelope.core.spans import OwnSpan  # 2 ms, for the fast lane only

_logger = logging.getLogger("otelope")

# Seconds that a fork waits for an import at most; those of grpc and requests take 0.1 to 0.4.
_LONGEST_HOLD = 2.0
# And for what is being sent; longer calls than this are of a collector in trouble.
LONGEST_CALL = 0.5

# Exporters of the processes this one was forked from. Their connections must neither be used nor
# closed here: closing says goodbye on a socket that is the parent's.
_inherited: list[Exporter[Any]] = []


class Pipeline(Generic[Item]):
    """
    Takes items of one signal, as a `otelope.core.records.Recorder` does, and delivers them.

    Starts its threads with the first item. Where they go, ``OTEL_EXPORTER_OTLP_*`` says.

    Args:
        settings: Of the queue and its end.
        signal: What the items are.
        encode, weigh: As of `otelope.export.job.Job`.
        resource: The resource's attributes; asked once, in the exporter's thread.
        status: What the process says of itself in a record of its own, plain data; None: nothing,
            as where the items are no records.
        ahead: Whether an item is on disk when it is taken, where the settings name a directory.
        connect: Opens the transport; by default the one the environment names.
    """

    def __init__(
        self,
        settings: Settings,
        signal: Signal,
        encode: Callable[[Item], bytes],
        weigh: Callable[[Item], int],
        resource: Callable[[], Mapping[str, Any]],
        status: Callable[[], Mapping[str, Any]] | None = None,
        *,
        ahead: bool = False,
        connect: Callable[[], Transport] | None = None,
    ) -> None:
        self._settings = settings
        self._signal = signal
        self._weigh = weigh
        self._resource = resource
        self._status = status
        self._spool, self._spool_failure = self._spool_of(settings, signal, ahead=ahead)
        self._ahead = ahead
        self._encode = encode
        self._destination = destination(signal=signal)
        self._connect = connect or (lambda: open_transport(self._destination))
        self._request: Request | None = None
        self._held: set[int] = set()
        self._forked = threading.RLock()
        if self._spool is not None and ahead:
            # For what it imports: a host's thread that did so with its first item could be forked
            # in the middle of it, and the child would wait for that import for good.
            self._new_request()
        self._exporter = self._new_exporter()
        self._put = self._exporter.queue.put
        self._pid = os.getpid()

    @staticmethod
    def of_records(
        settings: Settings,
        resource: Callable[[], Mapping[str, Any]],
        kind: KindOf,
        status: Callable[[], Mapping[str, Any]],
        **options: Any,
    ) -> Pipeline[Record]:
        """A pipeline of records; *kind* as for `otelope.export.record.Encoder`."""
        encode = Encoder(kind)
        ahead = settings.durable == "write-ahead"
        return Pipeline(
            settings, LOGS, encode, weight_of_record, resource, status, ahead=ahead, **options
        )

    @staticmethod
    def of_spans(
        settings: Settings, resource: Callable[[], Mapping[str, Any]], **options: Any
    ) -> Pipeline[OwnSpan]:
        """A pipeline of spans."""
        from otelope.export.span import encoded_span, weight_of_span  # noqa: PLC0415 - as above

        return Pipeline(settings, TRACES, encoded_span, weight_of_span, resource, **options)

    def __call__(self, item: Item) -> None:
        """Take an item: counts it at least; never blocks on I/O, but for the disk if ahead."""
        if os.getpid() != self._pid:
            self._notice_fork()
        self._put(item)

    @property
    def counters(self) -> Counters:
        """What became of this process's items."""
        return self._count()

    @property
    def target(self) -> str:
        """Where items go, for people."""
        return self._destination.endpoint

    @property
    def failure(self) -> str | None:
        """Why the collector does not take items at present; None when it does."""
        return self._exporter.outage.reason

    def flush(self, timeout: float) -> bool:
        """Wait for at most *timeout* seconds; whether everything so far was acknowledged."""
        if os.getpid() != self._pid:
            self._notice_fork()
        return self._exporter.flush(timeout)

    def resume(self) -> None:
        """Begin to deliver what ended processes left on disk, if they did."""
        with contextlib.suppress(OSError):
            if self._spool is not None and any(self._spool.iterdir()):
                self._exporter.wake()

    def hurry(self) -> None:
        """Begin to deliver what is queued, without waiting for it."""
        if os.getpid() != self._pid:
            self._notice_fork()
        self._exporter.hurry()

    def shutdown(self, timeout: float) -> bool:
        """
        Deliver what is queued and end the threads, within *timeout* seconds.

        Items that come later are counted as dropped. What could not be delivered is named in
        the log.
        """
        if os.getpid() != self._pid:
            self._notice_fork()
        exporter = self._exporter
        delivered = exporter.flush(timeout, closing=True)
        exporter.queue.close()
        exporter.abandon()
        counters = self._count()
        if counters.spooled:
            _logger.warning(
                "%d %s wait %s: another process of this program, or the next, delivers them.",
                counters.spooled,
                self._signal.items,
                exporter.backlog.where,
            )
        lost = counters.seen - counters.stored - counters.spooled - counters.dropped
        if lost and not delivered:
            _logger.error(
                "%d %s could not be delivered to %s within %g s (%s) and are lost with this "
                "process. OTELOPE_SHUTDOWN_TIMEOUT says how long its end may wait.",
                lost,
                self._signal.items,
                self.target,
                timeout,
                exporter.outage.reason or "it did not answer",
            )
        return delivered

    def before_fork(self) -> None:
        """Be ready to be copied."""
        self.hold()
        self.settle(time.monotonic() + LONGEST_CALL)

    def hold(self) -> None:
        """Begin nothing: what a thread is importing would stay half imported in the child."""
        # Bounded, should that import wait for a lock of the thread that forks.
        if self._exporter.senders.connecting.acquire(timeout=_LONGEST_HOLD):
            self._held.add(threading.get_ident())

    def settle(self, until: float) -> None:
        """
        Wait for what is on its way, holding, until that time by `time.monotonic`.

        gRPC 1.85, forked while it is called, aborted or hung 2 children of 500.
        """
        if threading.get_ident() in self._held:
            self._exporter.senders.wait_until_idle(max(0.0, until - time.monotonic()))

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if threading.get_ident() in self._held:
            self._held.discard(threading.get_ident())
            self._exporter.senders.connecting.release()

    def after_fork_in_child(self) -> None:
        """Start anew: what was queued is the parent's to deliver."""
        self._held.clear()
        parents = self._exporter
        _inherited.append(parents)
        self._exporter = self._new_exporter()
        self._put = self._exporter.queue.put
        self._pid = os.getpid()
        parents.leave()

    def _notice_fork(self) -> None:
        """Start anew where the fork told Python nothing: uWSGI's, unless it is asked to."""
        # The parent holds this lock at no time, unless it was forked so itself a moment ago.
        with self._forked:
            if os.getpid() != self._pid:
                self.after_fork_in_child()

    def _new_exporter(self) -> Exporter[Item]:
        job = Job(
            signal=self._signal,
            encode=self._encode,
            weigh=self._weigh,
            wrap=self._wrap,
            connect=self._connected,
            status=self._process_record if self._status is not None else None,
            target=self.target,
            interval=self._settings.export_interval,
            capacity=self._settings.queue_bytes,
        )
        backlog = self._new_backlog()
        if self._spool is None or not self._ahead:
            return Exporter(job, backlog)
        from otelope.export.write_ahead import (  # noqa: PLC0415 - as in `_new_backlog`
            WriteAhead,
            accepts_messages,
        )

        job = accepts_messages(job)
        return Exporter(
            job, backlog, partial(WriteAhead, encode=job.encode, wrap=self._wrap, root=self._spool)
        )

    def _new_backlog(self) -> Backlog:
        if self._spool is None:
            return MemoryBacklog()
        from otelope.export.spool import Spool  # noqa: PLC0415 - 3 ms, for those who want it

        return Spool(self._spool, self._settings.spool_bytes, self._signal, self._wrap)

    @staticmethod
    def _spool_of(
        settings: Settings, signal: Signal, *, ahead: bool
    ) -> tuple[Path | None, str | None]:
        """The directory on disk, or why there is none though it is asked for."""
        if not settings.spool_dir:
            if not ahead:
                return None, None
            _logger.error(
                "OTELOPE_DURABLE=write-ahead has no effect without a directory: set "
                "OTELOPE_SPOOL_DIR. Until then records wait in memory."
            )
            return None, "OTELOPE_SPOOL_DIR is not set"
        from otelope.export.segments import make_root  # noqa: PLC0415 - as in `_new_backlog`

        # Absolute: a daemon may change its directory.
        root = Path(settings.spool_dir).expanduser().absolute() / signal.path.split("/")[-1]
        failure = make_root(root)
        if failure is None:
            return root, None
        _logger.error(
            "OTELOPE_SPOOL_DIR: %s cannot be used (%s). What cannot be delivered waits in memory "
            "instead, and is lost with the process.",
            root,
            failure,
        )
        return None, failure

    def _connected(self) -> Transport:
        observe(self, self._count, self._signal)
        return self._connect()

    def _wrap(self, entries: list[bytes]) -> bytes:
        # No `functools.cached_property`: before Python 3.12 it has a lock, which forks inherit.
        if self._request is None:
            self._request = self._new_request()
        return self._request(entries)

    def _count(self) -> Counters:
        exporter = self._exporter
        queue, backlog = exporter.queue, exporter.backlog
        return Counters(
            seen=queue.accepted + queue.refused + backlog.adopted,
            stored=exporter.delivery.stored,
            spooled=backlog.spooled,
            dropped=queue.refused + exporter.dropped,
        )

    def _new_request(self) -> Request:
        resource: Mapping[str, Any] = {semconv.SERVICE_NAME: "unknown_service"}
        with guard:
            resource = self._resource()
        return Request.of_process(resource, _version())

    def _process_record(self) -> bytes:
        state: dict[str, Any] = {}
        with guard:
            state.update(self._status() if self._status is not None else {})
        state["counters"] = self._count()._asdict()
        state["destination"] = self.target
        exporter = self._exporter
        if failure := self._spool_failure or exporter.backlog.failure or exporter.queue.failure:
            state["spool_failure"] = failure
        return process_record(state, time.time_ns(), os.getpid())


def _version() -> str:
    try:
        return version("otelope")
    except PackageNotFoundError:
        return ""
