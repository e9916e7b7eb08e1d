"""The programs of an example: started together, watched, and stopped without a trace."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar


T = TypeVar("T")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_LAST_LINES = 15
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
_STOP_SECONDS = 15


class Interrupted(Exception):  # noqa: N818 - a wish of the user, not an error
    """Somebody pressed Ctrl-C, or asked this process to end."""


class Failed(Exception):  # noqa: N818 - it is the example that failed
    """It cannot go on; the message says why."""


@contextmanager
def noted_signals() -> Iterator[int]:
    """
    Let Ctrl-C and its like be noted, not raised, so that no started program is ever forgotten.

    Yields a file descriptor that is readable from the first signal on.
    """
    noted, note = os.pipe()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        os.write(note, b"!")

    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(noted)
        os.close(note)


class Processes:
    """
    The programs that were started, each with its output in a file; stopped when the block ends.

    The one that was started first receives what the others send, so it is stopped last.

    Args:
        directory: Where the files go.
        interruption: Becomes readable when waiting should end (`noted_signals`).
    """

    def __init__(self, directory: Path, interruption: int | None = None) -> None:
        self._directory = directory
        self._interruption = [] if interruption is None else [interruption]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._said_before: dict[str, int] = {}

    def __enter__(self) -> Processes:  # noqa: PYI034 - typing has Self from Python 3.11 on
        return self

    def __exit__(self, *_: object) -> None:
        receiver, *senders = self._running or [None]
        if receiver is not None:
            self.stop(*senders)
            self.stop(receiver)

    @property
    def exit_codes(self) -> dict[str, int | None]:
        """How each program ended; None while it runs."""
        return {name: process.poll() for name, process in self._running.items()}

    def start(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str], cwd: Path
    ) -> None:
        """
        Start a program, out of reach of the terminal's Ctrl-C: it is stopped in its turn.

        One that has ended may be started again; its output goes on where it was.
        """
        with self._log(name).open("ab") as log:
            self._said_before[name] = log.tell()
            self._running[name] = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self, name: str) -> str:
        """What a program has printed since it was started, the last time."""
        return self._log(name).read_bytes()[self._said_before[name] :].decode(errors="replace")

    def history(self, name: str) -> str:
        """What a program has printed, however often it was started."""
        return self._log(name).read_text("utf-8", "replace")

    def said(self, name: str, pattern: str, seconds: float) -> re.Match[str]:
        """
        Wait until a program has printed something that matches.

        Raises:
            Failed: It takes longer than that, or a program has ended.
            Interrupted: A signal came.
        """
        return self.wait_for(
            lambda: re.search(pattern, self.output(name)), f"{name} to be ready", seconds
        )

    def wait_for_end(self, name: str, seconds: float) -> int:
        """
        Wait until a program has ended by itself; its exit code. It may be started again.

        Raises:
            Failed: It takes longer than that.
        """
        try:
            code = self._running[name].wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(
                f"Waited {seconds:.0f} s in vain for {name} to end.{self._last_words(name)}"
            ) from None
        del self._running[name]
        return code

    def wait_for(self, answer: Callable[[], T | None], what: str, seconds: float) -> T:
        """
        Wait until there is an answer other than None.

        Raises:
            Failed: It takes longer than that, or a program has ended.
            Interrupted: A signal came.
        """
        deadline = time.monotonic() + seconds
        pause = _FIRST_PAUSE
        while (found := answer()) is None:
            if time.monotonic() > deadline:
                raise Failed(f"Waited {seconds:.0f} s in vain for {what}.{self._last_words()}")
            self.pause(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return found

    def pause(self, seconds: float) -> None:
        """
        Let some time pass, unless something happens meanwhile.

        Raises:
            Failed: A program has ended.
            Interrupted: A signal came.
        """
        if select.select(self._interruption, [], [], seconds)[0]:
            raise Interrupted
        for name, process in self._running.items():
            if process.poll() is not None:
                raise Failed(
                    f"{name} has ended ({_manner(process.returncode)}).{self._last_words(name)}"
                )

    def stop(
        self, *names: str, by: signal.Signals = signal.SIGTERM, seconds: float = _STOP_SECONDS
    ) -> None:
        """Ask programs to end, by a signal, and wait until they have, or make them."""
        chosen = [self._running[name] for name in names]
        for process in chosen:
            process.send_signal(by)
        deadline = time.monotonic() + seconds
        for process in chosen:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self, name: str) -> None:
        """Kill a program with SIGKILL; it may be started again."""
        process = self._running.pop(name)
        process.kill()
        process.wait()

    def _last_words(self, *names: str) -> str:
        said = []
        for name in names or self._running:
            lines = self.output(name).splitlines()[-_LAST_LINES:]
            said.append(f"\n\nThe last lines of {name}:\n  " + "\n  ".join(lines or ["(none)"]))
        return "".join(said)

    def _log(self, name: str) -> Path:
        return self._directory / f"{name.replace(' ', '-')}.log"


def _manner(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
