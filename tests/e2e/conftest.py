"""Fixtures of the tests with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.running.processes import Processes
from examples.running.servers import Otelope, start_otelope
from tests.e2e.leftovers import processes_of


@pytest.fixture(scope="session")
def otelope_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Otelope]:
    """A running `otelope up`: the URL for OTLP over gRPC, and that of its questions."""
    directory = tmp_path_factory.mktemp("up")
    with Processes(directory) as processes:
        yield start_otelope(processes, directory)
    assert processes.exit_codes == {"otelope up": 0}


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[Path]:
    """A directory for a program's temporary files, which is empty again in the end."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    yield directory
    assert list(directory.iterdir()) == []
    assert processes_of(directory) == []
