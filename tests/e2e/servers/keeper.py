"""
Keep one server for a whole test run: `python -m tests.e2e.servers.keeper NAME FILE PID`.

The address goes to FILE once the server is ready, or the reason why there is none. It stops on
SIGTERM, and when the process PID has ended in whatever way: a killed test run leaves no server.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading

from pathlib import Path

from tests.e2e.servers import SERVERS, Missing
from tests.e2e.servers.processes import wait_for_end


def keep(name: str, answer: Path, owner: int) -> None:
    threading.Thread(target=_end_with, args=(owner, answer.parent), daemon=True).start()
    try:
        with SERVERS[name]() as address:
            _write(answer, {"address": address, "keeper": os.getpid()})
            signal.pause()
    except Missing as error:
        _write(answer, {"missing": str(error)})
    except (RuntimeError, OSError) as error:
        _write(answer, {"failed": str(error)})


def _end_with(owner: int, directory: Path) -> None:
    wait_for_end(owner, timeout=None)
    # Who ended in order has removed it.
    shutil.rmtree(directory, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)


def _write(answer: Path, content: dict[str, object]) -> None:
    partial = answer.with_suffix(".partial")
    partial.write_text(json.dumps(content), encoding="utf-8")
    partial.rename(answer)


if __name__ == "__main__":
    # SystemExit unwinds the `with`, which stops the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
