"""Jaeger 2 with its storage in memory, and what it answers."""

from __future__ import annotations

import os
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from examples.running.ports import free_port
from tests.e2e.servers.go_programs import JAEGER, jaeger_program
from tests.e2e.servers.processes import running


class Jaeger(NamedTuple):
    """Where it takes spans, OTLP over gRPC, and where it answers."""

    otlp: str
    query: str


@contextmanager
def jaeger() -> Iterator[str]:
    """A Jaeger; the addresses of `Jaeger`, with a space between them."""
    with running_jaeger(free_port()) as (otlp, query):
        yield f"{otlp} {query}"


@contextmanager
def running_jaeger(otlp_port: int) -> Iterator[Jaeger]:
    """A Jaeger that takes spans at this port."""
    program = jaeger_program()
    with tempfile.TemporaryDirectory(prefix="otelope-jaeger-") as name:
        query_port = free_port()
        ports = {
            "OTLP_PORT": otlp_port,
            "QUERY_PORT": query_port,
            "QUERY_GRPC_PORT": free_port(),
            "HEALTH_PORT": free_port(),
        }
        with running(
            [program, "--config", JAEGER / "jaeger.yaml"],
            log=Path(name) / "log",
            ready="Everything is ready",
            env={**os.environ, **{key: str(port) for key, port in ports.items()}},
        ):
            yield Jaeger(f"http://127.0.0.1:{otlp_port}", f"http://127.0.0.1:{query_port}")
