"""Redis, one server that keeps nothing on disk."""

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
def redis() -> Iterator[str]:
    """A fresh server; its address, ``redis://127.0.0.1:port``."""
    server = shutil.which("redis-server")
    if server is None:
        raise Missing("Redis is not installed: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="otelope-redis-") as name:
        port = free_port()
        with running(
            [server, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", name],
            log=Path(name) / "log",
            ready="Ready to accept connections",
            env=os.environ,
        ):
            yield f"redis://127.0.0.1:{port}"
