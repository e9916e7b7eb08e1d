"""What the tests of the production backend share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pipeline.backend import Backend
from tests.e2e.servers.go_programs import otelcol
from tests.e2e.servers.jaeger_server import Jaeger
from tests.e2e.servers.processes import Missing


@pytest.fixture(scope="session")
def collector_program() -> Path:
    """The collector, built from ``collector-config/builder.yaml``."""
    try:
        return otelcol()
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def backend(tmp_path: Path, collector_program: Path, jaeger_server: Jaeger) -> Iterator[Backend]:
    """ClickHouse with its tables, Jaeger, and a collector to be started."""
    directory = tmp_path / "backend"
    directory.mkdir()
    with Backend(directory, jaeger_server.otlp) as opened:
        yield opened
