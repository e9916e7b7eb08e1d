from __future__ import annotations

import time

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otelope.collector.daemon import Address, Daemon
from otelope.store import Store, questions


class Receiver:
    """A real OTLP endpoint: an `otelope up`, whose store can be looked at."""

    def __init__(self, directory: Path) -> None:
        self._daemon = Daemon(str(directory), Address("127.0.0.1", 0, 0))
        host, grpc_port, http_port = self._daemon.address
        self.grpc = f"http://{host}:{grpc_port}"
        self.http = f"http://{host}:{http_port}"
        self.store = self._daemon.store

    def spans(self, trace_id: int) -> list[dict[str, Any]]:
        return questions.spans(self.store, f"{trace_id:032x}")

    def stop(self) -> None:
        self._daemon.stop()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    running = Receiver(tmp_path / "receiver")
    yield running
    running.stop()


@pytest.fixture
def store(receiver: Receiver) -> Store:
    # A process can have one embedded store.
    return receiver.store


def awaited(answer: Callable[[], Any]) -> Any:
    """What is answered, as soon as it is not false."""
    deadline = time.monotonic() + 30
    while not (found := answer()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
