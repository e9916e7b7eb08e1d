"""What stands for a ClickHouse server: `clickhouse_front`, as a process that a test may end."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from examples.running.ports import free_port
from tests.e2e.servers.processes import await_line, stop_group


# What `clickhouse_front` says once it answers. It is not imported here: it loads the engine.
READY = "the front is ready"

_ROOT = Path(__file__).parents[3]
_PATIENCE = 60


class ClickHouse:
    """
    One server, on a directory and a port that stay the same. It ends with this process.

    Args:
        directory: Where it keeps what it stores, and its log.
        options: As `clickhouse_front` takes them.
        user, password: Who `url` names, and `ask` is.
        secure: Whether it speaks TLS.

    Attributes:
        port: Where it listens.
    """

    def __init__(
        self,
        directory: Path,
        *options: str | Path,
        user: str = "",
        password: str = "",
        secure: bool = False,
    ) -> None:
        self._directory = directory
        self._options = [*options, *(["--user", f"{user}:{password}"] if user else [])]
        self._process: subprocess.Popen[bytes] | None = None
        self._user, self._password = user, password
        self._scheme = "https" if secure else "http"
        self.port = free_port()

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def where(self) -> str:
        """Its URL, without a user."""
        return f"{self._scheme}://{self.address}"

    @property
    def url(self) -> str:
        """Its URL with user and password."""
        who = f"{quote(self._user)}:{quote(self._password, safe='')}@" if self._user else ""
        return f"{self._scheme}://{who}{self.address}"

    def start(self) -> None:
        """Start it, the first time or again; returns when it answers."""
        self._directory.mkdir(parents=True, exist_ok=True)
        log = self._directory / "log"
        command = [
            sys.executable, "-m", "tests.e2e.servers.clickhouse_front", self._directory / "data",
            "--port", str(self.port), "--owner", str(os.getpid()), *self._options,
        ]  # fmt: skip
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Not a part of what is measured: without this, coverage would follow it.
                env={key: value for key, value in os.environ.items() if "COVERAGE" not in key},
                cwd=_ROOT,
                start_new_session=True,
            )
        await_line(self._process, log, READY, _PATIENCE)

    def stop(self) -> None:
        """End it as a service manager would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Let it accept connections, and answer none."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def ask(self, statement: str, database: str = "default") -> str:
        """What it answers, as tab-separated values."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        who = {"X-ClickHouse-User": self._user or "default", "X-ClickHouse-Key": self._password}
        try:
            query = urlencode({"database": database, "default_format": "TSVRaw"})
            connection.request("POST", f"/?{query}", statement.encode(), who)
            answer = connection.getresponse()
            said = answer.read().decode()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise RuntimeError(said)
        return said.rstrip("\n")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            stop_group(self._process, number)
            self._process = None


@contextmanager
def clickhouse(
    directory: Path,
    *options: str | Path,
    user: str = "",
    password: str = "",
    secure: bool = False,
) -> Iterator[ClickHouse]:
    """A server that runs; whatever state it is in at the end, it is gone then."""
    server = ClickHouse(directory, *options, user=user, password=password, secure=secure)
    server.start()
    try:
        yield server
    finally:
        server.kill()
