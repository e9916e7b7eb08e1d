"""Jaeger 2 with its storage in memory, and what it answers."""

from __future__ import annotations

import os
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.e2e.servers.go_programs import JAEGER, jaeger_program
from tests.e2e.servers.processes import free_port, running


class Jaeger(NamedTuple):
    """Where it takes spans, OTLP over gRPC, and where it answers."""

    otlp: str
    query: str


@contextmanager
def jaeger() -> Iterator[str]:
    """A Jaeger; the addresses of `Jaeger`, with a space between them."""
    program = jaeger_program()
    with tempfile.TemporaryDirectory(prefix="otelope-jaeger-") as name:
        otlp, query = free_port(), free_port()
        ports = {
            "OTLP_PORT": otlp,
            "QUERY_PORT": query,
            "QUERY_GRPC_PORT": free_port(),
            "HEALTH_PORT": free_port(),
        }
        with running(
            [program, "--config", JAEGER / "jaeger.yaml"],
            log=Path(name) / "log",
            ready="Everything is ready",
            env={**os.environ, **{key: str(port) for key, port in ports.items()}},
        ):
            yield f"http://127.0.0.1:{otlp} http://127.0.0.1:{query}"
