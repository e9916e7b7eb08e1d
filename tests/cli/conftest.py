"""The real program, asking a real `otelope up` that holds one real tree."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from tests.cli.story import export_request, order, walk


_PATIENCE = 60
_PLAIN = {"PYTHONIOENCODING": "utf-8", "TZ": "UTC"}
_UNSET = ("OTELOPE_", "OTEL_", "NO_COLOR", "FORCE_COLOR")

Program = Callable[..., "subprocess.CompletedProcess[str]"]


class Up(NamedTuple):
    """A running `otelope up`."""

    url: str
    grpc: str
    data: Path
    process: subprocess.Popen[str]

    def send(self, request: bytes) -> None:
        """Export records, and return when they are committed."""
        headers = {"Content-Type": "application/x-protobuf"}
        post = urllib.request.Request(f"{self.url}/v1/logs", request, headers)  # noqa: S310 - our own server
        with urllib.request.urlopen(post, timeout=30) as answer:  # noqa: S310 - as above
            assert answer.status == 200

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


def environment(**variables: str) -> dict[str, str]:
    """The environment of the program, without what the user of this machine has set."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(_UNSET)}
    return {**inherited, **_PLAIN, **variables}


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "otelope", *arguments]


@contextmanager
def running_up(data: Path, *options: str) -> Iterator[Up]:
    process = subprocess.Popen(
        program("up", "--grpc-port", "0", "--http-port", "0", "--data", str(data), *options),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        line = Lines(process.stdout).next()
        found = re.search(r"gRPC ([\d.:]+), HTTP ([\d.:]+),", line)
        assert found, line
        yield Up(f"http://{found[2]}", found[1], data, process)
    finally:
        process.kill()
        process.wait()


class Lines:
    """What a stream says, line by line as it comes."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(stream,))
        self._thread.start()

    def next(self) -> str:
        """The next line; fails when none comes in time."""
        return self._lines.get(timeout=_PATIENCE)

    def rest(self) -> str:
        """What is left when the stream has ended."""
        self._thread.join(_PATIENCE)
        return "".join(iter(self._lines.get_nowait, ""))

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put("")


class Tail:
    """A running `otelope tail`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        assert process.stderr
        self.process = process
        self._out = Lines(process.stdout)
        self._err = Lines(process.stderr)
        self._said = ""

    def line(self) -> str:
        return self._out.next()

    def waits_for_complaint(self) -> None:
        self._said += self._err.next()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_PATIENCE)
        assert self._out.rest() == ""

    def complaints(self) -> str:
        return self._said + self._err.rest()


@contextmanager
def running_tail(up: Up) -> Iterator[Tail]:
    process = subprocess.Popen(
        program("tail", "--store", up.url),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Tail(process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """An `otelope up` that holds the tree of `story.order`; read only, for all tests."""
    with running_up(tmp_path_factory.mktemp("up") / "data") as running:
        running.send(export_request(walk(order())))
        yield running


@pytest.fixture
def otelope(tmp_path: Path) -> Program:
    """Runs the program to its end; its home is empty and nobody answers by default."""

    def run(
        *arguments: str, encoding: str = "utf-8", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
        return subprocess.run(
            program(*arguments),
            check=False,
            capture_output=True,
            encoding=encoding,
            env=environment(**{**home, **variables}),
            timeout=60,
        )

    return run
