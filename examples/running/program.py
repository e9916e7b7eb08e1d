"""An example as a program: run until Ctrl-C or, with ONCE=1, until it has shown what there is."""

from __future__ import annotations

import os
import sys
import tempfile

from pathlib import Path
from typing import Protocol

from examples.running.processes import Failed, Interrupted, Processes, noted_signals


class Show(Protocol):
    """Starts an example's processes, with their files in a directory, and shows what they do."""

    def __call__(self, processes: Processes, directory: Path, *, once: bool) -> None: ...


def run(name: str, show: Show) -> int:
    """Run an example with a temporary directory of its own; the exit code of the program."""
    once = os.environ.get("ONCE", "0") not in ("", "0")
    try:
        with (
            noted_signals() as interruption,
            tempfile.TemporaryDirectory(prefix=f"otelope-{name.replace(' ', '-')}-") as directory,
            Processes(Path(directory), interruption) as processes,
        ):
            show(processes, Path(directory), once=once)
    except Interrupted:
        return 130 if once else 0
    except (Failed, FileNotFoundError) as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read this has gone, and Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
