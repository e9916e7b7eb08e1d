"""Eclipse Mosquitto, an MQTT broker that keeps nothing on disk."""

from __future__ import annotations

import os
import shutil
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.e2e.servers.processes import Missing, running


# Debian's /usr/sbin is on few users' PATH.
PROGRAMS = ("mosquitto", "/usr/sbin/mosquitto")


def _program() -> str:
    for candidate in PROGRAMS:
        if found := shutil.which(candidate):
            return found
    raise Missing("Mosquitto is not installed: apt-get install mosquitto")


@contextmanager
def mosquitto() -> Iterator[str]:
    """A fresh server; its address, ``mqtt://127.0.0.1:port``."""
    server = _program()
    with tempfile.TemporaryDirectory(prefix="otelope-mosquitto-") as name:
        port = free_port()
        settings = Path(name) / "mosquitto.conf"
        settings.write_text(
            f"listener {port} 127.0.0.1\n"
            "allow_anonymous true\n"
            "persistence false\n"
            # 1000 by default: a burst would lose what is beyond.
            "max_queued_messages 0\n",
            encoding="utf-8",
        )
        with running(
            [server, "-c", str(settings)],
            log=Path(name) / "log",
            ready="running",
            env=os.environ,
        ):
            yield f"mqtt://127.0.0.1:{port}"
