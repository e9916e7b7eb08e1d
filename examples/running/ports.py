"""Ports for what starts later."""

from __future__ import annotations

import random
import socket

from contextlib import suppress


def free_port() -> int:
    """A port on loopback that stays free while nobody listens: connections get higher ones."""
    while True:
        # Linux gives them from 32768 on, macOS from 49152.
        port = random.randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
