"""
Nothing is lost when a process ends or forks: SIGTERM, `atexit`, `os.fork`, multiprocessing.

A forked child may end by ``os._exit``, and any process by raising a signal, both of which call no
``atexit`` functions: it delivers before.
Not covered here: SIGKILL, and ``os._exit`` of a process that was not forked; what is on disk
(`otelope.export.spool`, `otelope.export.write_ahead`) outlives both.
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import threading
import time

from functools import partial
from types import FrameType, ModuleType
from typing import Any, NoReturn, Protocol

from otelope.core.guard import guard


# Process pools whose children end with os._exit, which skips atexit, but run finalizers of their
# own. Looked up in sys.modules, never imported.
_POOLS = ("multiprocessing.util", "billiard.util")

# What by default ends a process that is asked to.
_ENDS = {
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")
    if hasattr(signal, name)
}


class Ending(Protocol):
    """What is to be ended: a pipeline."""

    def shutdown(self, timeout: float) -> bool:
        """Deliver what is queued, within so many seconds."""

    def before_fork(self) -> None:
        """Be ready to be copied."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Start anew."""


class Lifecycle:
    """
    Ends a pipeline with its process.

    Args:
        pipeline: What to end.
        timeout: The seconds that the end of the process may wait for it.
    """

    def __init__(self, pipeline: Ending, timeout: float) -> None:
        self.pipeline = pipeline
        self._timeout = timeout
        self._pools: set[str] = set()

    def install(self) -> None:
        """
        Take the hooks.

        Early, so that the host's own ``atexit`` functions, which run in reverse order, come first
        and what they record is delivered too. SIGTERM only in the main thread and only where it
        has its default action: a handler of the host's is the host's.
        """
        _installed.append(self)
        _register_fork_hooks()
        _deliver_before_raising()
        self._tell_pools()  # this may be the child of a pool that imports the program anew
        atexit.register(self.end)
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        ):
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def uninstall(self) -> None:
        """Give the hooks back, as far as they are still ours."""
        if self not in _installed:
            return
        _installed.remove(self)
        if not _installed and getattr(signal.raise_signal, "__module__", None) == __name__:
            signal.raise_signal = signal.raise_signal.__wrapped__  # type: ignore[attr-defined]
        atexit.unregister(self.end)
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGTERM) == self._on_sigterm
        ):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def before_fork(self) -> None:
        """Prepare the process to be copied."""
        self._tell_pools()
        self.pipeline.before_fork()

    def _tell_pools(self) -> None:
        """Ask the process pools in use to end with each child."""
        for name in _POOLS:
            pool = sys.modules.get(name)
            if name not in self._pools and pool is not None and hasattr(pool, "Finalize"):
                self._pools.add(name)
                pool.register_after_fork(self, partial(Lifecycle.in_pool, pool=pool))

    def in_pool(self, pool: ModuleType) -> None:
        """End with the child of a process pool; last of its finalizers, which may record."""
        if self in _installed:
            pool.Finalize(None, self.end, exitpriority=-1_000)
            with guard:
                self._end_with_billiards_worker()

    def _end_with_billiards_worker(self) -> None:
        # A worker of billiard's own pool is killed as soon as it has said goodbye (3.6 to 4.3);
        # what it calls before is Celery's `worker_process_shutdown`, which may record too.
        pool, process = sys.modules.get("billiard.pool"), sys.modules.get("billiard.process")
        if pool is None or process is None:
            return
        worker = getattr(process.current_process(), "_target", None)
        if not isinstance(worker, pool.Worker):
            return
        on_exit = worker.on_exit

        def exiting(*args: Any) -> None:
            try:
                if on_exit is not None:
                    on_exit(*args)
            finally:
                self.end()

        worker.on_exit = exiting

    def end(self) -> None:
        """Deliver what is queued, within its time, whoever else asks the process to end then."""
        ends = time.monotonic() + self._timeout
        while True:
            try:
                with guard:
                    self.pipeline.shutdown(max(0.0, ends - time.monotonic()))
            except SystemExit:
                # Of the host's handler of a signal, in the middle of this: gunicorn 27 sends
                # SIGQUIT to workers that are ending already. It is what is happening.
                continue
            return

    def _on_sigterm(self, number: int, _: FrameType | None) -> None:
        self.end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


_installed: list[Lifecycle] = []
_hooked = threading.Lock()


def _register_fork_hooks() -> None:
    # Once and for good: Python has no way to take them back.
    if hasattr(os, "register_at_fork") and _hooked.acquire(blocking=False):
        os.register_at_fork(
            before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
        )


def _before() -> None:
    for lifecycle in _installed:
        with guard:
            lifecycle.before_fork()


def _after_in_parent() -> None:
    for lifecycle in _installed:
        with guard:
            lifecycle.pipeline.after_fork_in_parent()


def _after_in_child() -> None:
    for lifecycle in _installed:
        with guard:
            lifecycle.pipeline.after_fork_in_child()
    _deliver_before_exit()


def _deliver_before_exit() -> None:
    """Let ``os._exit`` of this process, and of those that it forks, wait for what is recorded."""
    exits = os._exit
    if not _installed or getattr(exits, "__module__", None) == __name__:
        return

    @functools.wraps(exits)
    def deliver_and_exit(status: int) -> NoReturn:
        for lifecycle in _installed:
            lifecycle.end()
        exits(status)

    deliver_and_exit.__module__ = __name__
    os._exit = deliver_and_exit


def _deliver_before_raising() -> None:
    """
    Let a signal by which this process ends itself wait for what is recorded.

    A server has its own handler of SIGTERM while it serves, and from before it imports the
    application; then it puts the default action back and raises what it got (uvicorn since 0.29).
    """
    raises = signal.raise_signal
    if getattr(raises, "__module__", None) == __name__:
        return

    @functools.wraps(raises)
    def deliver_and_raise(number: int, /) -> None:
        if number in _ENDS and signal.getsignal(number) is signal.SIG_DFL:
            for lifecycle in _installed:
                lifecycle.end()
        raises(number)

    deliver_and_raise.__module__ = __name__
    signal.raise_signal = deliver_and_raise
