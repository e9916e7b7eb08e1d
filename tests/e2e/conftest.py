"""Fixtures of the tests with real processes."""

from __future__ import annotations

import re
import sys

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo import environments
from examples.demo.processes import Processes


@pytest.fixture(scope="session")
def otelope_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A running `otelope up`: the URL for OTLP over gRPC, and that of its questions."""
    directory = tmp_path_factory.mktemp("up")
    with Processes(directory) as processes:
        processes.start(
            "up",
            [
                sys.executable,
                *("-m", "otelope", "up", "--grpc-port=0", "--http-port=0"),
                f"--data={directory / 'data'}",
            ],
            environments.plain(),
            Path.cwd(),
        )
        grpc, http = processes.wait_for(
            lambda: re.search(r"gRPC (\S+), HTTP (\S+),", processes.output("up")),
            "otelope up to be ready",
            60,
        ).groups()
        yield f"http://{grpc}", f"http://{http}"
    assert processes.exit_codes == {"up": 0}
