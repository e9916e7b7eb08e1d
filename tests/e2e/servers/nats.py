"""NATS with JetStream, one server."""

from __future__ import annotations

import os
import shutil
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.e2e.servers.processes import Missing, running


@contextmanager
def nats() -> Iterator[str]:
    """A fresh server; its address, ``nats://127.0.0.1:port``."""
    server = shutil.which("nats-server")
    if server is None:
        raise Missing("NATS is not installed: apt-get install nats-server")
    with tempfile.TemporaryDirectory(prefix="otelope-nats-") as name:
        port = free_port()
        with running(
            [server, "--addr=127.0.0.1", f"--port={port}", "--jetstream", f"--store_dir={name}"],
            log=Path(name) / "log",
            ready="Server is ready",
            env=os.environ,
        ):
            yield f"nats://127.0.0.1:{port}"
