"""`otelope up` as its users run it."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
import urllib.error
import urllib.request

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


class Running:
    """The daemon, and ways to talk to it."""

    def __init__(self, where: Path | Sequence[str], file_size: int | None = None) -> None:
        self.errors: str | None = None
        options = ["--data", str(where)] if isinstance(where, Path) else where
        self.process = subprocess.Popen(
            [sys.executable, "-m", "otelope", "up", *options,
             "--grpc-port", "0", "--http-port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=file_size and (lambda: _limit(file_size)),  # noqa: PLW1509 - no threads
        )  # fmt: skip
        self.ready = self.process.stdout.readline()
        said = re.fullmatch(
            r"otelope is up: OTLP gRPC 127\.0\.0\.1:(\d+), HTTP 127\.0\.0\.1:(\d+), data in .*\n",
            self.ready,
        )
        assert said, self.ready + self.process.communicate(timeout=60)[1]
        self.grpc_port, self.http_port = int(said[1]), int(said[2])

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", body, named)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - our own
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    @contextmanager
    def export(self, signal_name: str = "logs"):
        """The raw gRPC method of a signal."""
        package = {"logs": "logs", "traces": "trace", "metrics": "metrics"}[signal_name]
        service = f"opentelemetry.proto.collector.{package}.v1.{package.capitalize()}Service"
        with grpc.insecure_channel(
            f"127.0.0.1:{self.grpc_port}", [("grpc.max_send_message_length", -1)]
        ) as channel:
            yield channel.unary_unary(f"/{service}/Export")

    def stop(self) -> tuple[int, str]:
        """End it as a service manager would; exit status and what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.errors is None:
            _, self.errors = self.process.communicate(timeout=60)
        return self.process.returncode, self.errors


def _limit(file_size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))


@contextmanager
def running(where: Path | Sequence[str], file_size: int | None = None) -> Iterator[Running]:
    """
    Run it, on a directory or with options that say where.

    Files may be limited to a size; what is left of it afterwards is killed.
    """
    daemon = Running(where, file_size)
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.communicate(timeout=60)
