"""Programs of tests, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


# A fork that Python is not told of: as uWSGI forks its workers, unless it is asked to tell by
# `--py-call-uwsgi-fork-hooks`. Nobody else wants the interpreter then: who does leaves the lock of
# it locked in the child, for good (CPython 3.11).
UNTOLD_FORK = """
import ctypes, os, time

def computed():
    tasks = [t for t in os.listdir("/proc/self/task") if int(t) != os.getpid()]
    return [
        (open(f"/proc/self/task/{t}/stat").read().rpartition(")")[2].split()[0],
         open(f"/proc/self/task/{t}/schedstat").read())
        for t in tasks
    ]

def untold_fork():
    before = None
    while before != (now := computed()) or any(state != "S" for state, _ in now):
        before = now
        time.sleep(0.02)
    return ctypes.PyDLL(None).fork()
"""
# Waits for a signal. Not by `signal.pause`: one that comes just before that would not end it.
IDLE = """
while True:
    time.sleep(0.1)
"""
ROOT = Path(__file__).parents[2]


@contextmanager
def programs(folder: Path) -> Iterator[object]:
    """Starts programs, of a preamble and what follows it; what is left of them is killed."""
    running = []

    def start(preamble: str, program: str, **environment: str) -> subprocess.Popen[str]:
        path = folder / f"program{len(running)}.py"
        path.write_text(preamble + textwrap.dedent(program))
        child = subprocess.Popen(
            [sys.executable, path],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(child)
        return child

    try:
        yield start
    finally:
        for child in running:
            # With what it forked, which may hold its pipes.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()


def ended(child: subprocess.Popen[str], timeout: float = 30) -> tuple[int, str, str]:
    """The exit status of a program, and what it wrote to both of its outputs."""
    out, err = child.communicate(timeout=timeout)
    # gRPC's note about a fork while a call of it is on its way; the child works all the same.
    err = "".join(line for line in err.splitlines(True) if "fork_posix.cc" not in line)
    return child.returncode, out, err
