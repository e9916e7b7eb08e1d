"""What stands in for a broker of Pulsar, in a process of its own."""

from __future__ import annotations

import os
import sys
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.e2e.servers.processes import running


PROGRAM = Path(__file__).with_name("pulsar_program.py")


@contextmanager
def pulsar() -> Iterator[str]:
    """A fresh broker; its address, ``pulsar://127.0.0.1:port``."""
    with tempfile.TemporaryDirectory(prefix="otelope-pulsar-") as name:
        port = str(free_port())
        with running(
            [sys.executable, PROGRAM, "127.0.0.1", port],
            log=Path(name) / "log",
            ready="serving",
            env=os.environ,
        ):
            yield f"pulsar://127.0.0.1:{port}"
