"""Eclipse Mosquitto, an MQTT broker that keeps nothing on disk."""

from __future__ import annotations

import os
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.servers.processes import Missing, free_port, running


# Debian's own place: /usr/sbin is on few users' PATH.
PROGRAM = "/usr/sbin/mosquitto"


@contextmanager
def mosquitto() -> Iterator[str]:
    """A fresh server; its address, ``mqtt://127.0.0.1:port``."""
    if not Path(PROGRAM).exists():
        raise Missing("Mosquitto is not installed: apt-get install mosquitto")
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
            [PROGRAM, "-c", str(settings)],
            log=Path(name) / "log",
            ready="running",
            env=os.environ,
        ):
            yield f"mqtt://127.0.0.1:{port}"
