"""Pub/Sub as Google's own Go library serves it to tests: all in memory."""

from __future__ import annotations

import os
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.e2e.servers.go_programs import pubsub_program
from tests.e2e.servers.processes import running


@contextmanager
def pubsub() -> Iterator[str]:
    """A fresh server; its address, ``127.0.0.1:port``, which ``PUBSUB_EMULATOR_HOST`` takes."""
    program = pubsub_program()
    with tempfile.TemporaryDirectory(prefix="otelope-pubsub-") as name:
        address = f"127.0.0.1:{free_port()}"
        with running([program, address], log=Path(name) / "log", ready="serving", env=os.environ):
            yield address
