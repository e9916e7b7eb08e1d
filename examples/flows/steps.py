"""
The arrows of a flow's sequence: each says when it is complete, and may be the last one.

``DIE_AFTER`` names a file. The process that reaches the arrow that stands in it removes the file
and kills itself: so a crash at any place can be looked at.
"""

from __future__ import annotations

import os
import signal

from contextlib import suppress
from pathlib import Path


def reached(arrow: str) -> None:
    """Say that an arrow such as ``db: store(command)`` is complete: a line on standard output."""
    # In one piece: of a line and its end, another thread's line would come in between.
    print(f"reached {arrow}\n", end="", flush=True)
    file = os.environ.get("DIE_AFTER")
    if file is None:
        return
    with suppress(FileNotFoundError):
        if Path(file).read_text(encoding="utf-8") == arrow:
            Path(file).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
