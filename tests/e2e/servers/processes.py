"""Programs that serve until they are told to stop."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


class Missing(Exception):  # noqa: N818 - a state of this machine, not a defect
    """A server that is not on this machine; the text says how to get it."""


@contextmanager
def running(
    command: list[str | Path],
    *,
    log: Path,
    ready: str,
    env: Mapping[str, str],
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
    timeout: float = 90,
) -> Iterator[None]:
    """
    Run a server from the moment its log says `ready`; then `stop` it and all it started.

    Raises:
        RuntimeError: It ended or said nothing in time; with the end of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=log.parent,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
    try:
        await_line(process, log, ready, timeout)
        yield
    finally:
        stop_group(process, stop)


def await_line(process: subprocess.Popen[bytes], log: Path, ready: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while ready.encode() not in (said := log.read_bytes()):
        if process.poll() is not None:
            reason = f"ended with code {process.returncode}"
        elif time.monotonic() > deadline:
            reason = f"did not say {ready!r} within {timeout:.0f} s"
        else:
            time.sleep(0.05)
            continue
        tail = said.decode(errors="replace")[-3000:]
        raise RuntimeError(f"{process.args!r} {reason}. Its last words:\n{tail}")


def stop_group(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    # The group, not the process: start scripts do not pass signals on.
    for sign, patience in ((stop, 15), (signal.SIGKILL, 15)):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def wait_for_end(pid: int, timeout: float | None) -> bool:
    """Wait until a process that need not be our child has ended; False when it has not."""
    if hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            poller = select.poll()
            poller.register(descriptor, select.POLLIN)
            return bool(poller.poll(None if timeout is None else timeout * 1000))
        finally:
            os.close(descriptor)
    deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.2)
    return False
