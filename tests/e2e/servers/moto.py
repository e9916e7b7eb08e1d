"""moto, which serves SQS, SNS and EventBridge as AWS does."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.e2e.servers.processes import Missing, running


# By its name: beside its file, what is called moto is not the library.
PROGRAM = "tests.e2e.servers.moto_program"
ROOT = Path(__file__).parents[3]


@contextmanager
def moto() -> Iterator[str]:
    """A fresh server; its address, ``http://127.0.0.1:port``."""
    if importlib.util.find_spec("moto") is None:
        raise Missing("moto is not installed: make dev")
    with tempfile.TemporaryDirectory(prefix="otelope-moto-") as name:
        port = free_port()
        with running(
            [sys.executable, "-m", PROGRAM, "-H", "127.0.0.1", "-p", str(port)],
            log=Path(name) / "log",
            ready="Running on",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ):
            yield f"http://127.0.0.1:{port}"
