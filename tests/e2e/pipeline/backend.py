"""
The production backend, as real programs: ClickHouse's engine, the collector, Jaeger.

The collector runs the files of ``collector-config`` as they are: only its environment says where
everything is. Each program can be killed and started again, at the same address.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx

from examples.running.environments import plain
from examples.running.ports import free_port
from examples.running.processes import Processes
from tests.e2e.servers.clickhouse import ClickHouse
from tests.e2e.servers.go_programs import ROOT, otelcol


CONFIGURATIONS = ROOT / "collector-config"
SECONDS_TO_START = 60
# For the engine behind the front: clickhouse-go compresses in a framing of its own otherwise.
_UNCOMPRESSED = "?compress=none"
# In a namespace of its own, which needs no root and leaves nothing behind.
_ON_A_SMALL_DISK = (
    "unshare", "--mount", "--map-root-user", "sh", "-c",
    'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"', "sh",
)  # fmt: skip
_SENT = "otelcol_exporter_sent_log_records"
_SOON = {
    "COLLECTOR_FLUSH": "200ms",
    "COLLECTOR_RETRY_FIRST": "100ms",
    "COLLECTOR_RETRY_AT_MOST": "500ms",
}


class Backend(AbstractContextManager["Backend"]):
    """
    ClickHouse with its tables and, once started, collectors; all end with the block.

    Args:
        directory: For everything that they write.
        jaeger: Where spans go, OTLP over gRPC.
        tables: Whether ClickHouse has its tables when it is there.

    Attributes:
        server: ClickHouse.
        processes: All else.

    Raises:
        Missing: Go is, to build the collector.
    """

    def __init__(self, directory: Path, jaeger: str, *, tables: bool = True) -> None:
        self.directory = directory
        self.processes = Processes(directory)
        self.server = ClickHouse(directory / "clickhouse")
        self._otelcol = otelcol()
        self._tables = tables
        self._jaeger = jaeger.removeprefix("http://")
        self._ports = {name: free_port() for name in ("grpc", "http")}

    def __enter__(self) -> Backend:  # noqa: PYI034 - typing has Self from Python 3.11 on
        self.server.start()
        try:
            if self._tables:
                self.run("schema", "apply")
        except BaseException:
            self.server.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.__exit__()
        self.server.kill()

    @property
    def clickhouse(self) -> str:
        """The address of ClickHouse's HTTP interface."""
        return self.server.where

    @property
    def endpoint(self) -> str:
        """Where the collector takes OTLP over gRPC."""
        return f"http://127.0.0.1:{self._ports['grpc']}"

    def start_collector(
        self, *configurations: str, name: str = "collector", disk_bytes: int = 0, **env: str
    ) -> None:
        """
        Start a collector and wait until it takes what it is sent.

        Args:
            configurations: Names of files in ``collector-config``, or paths.
            name: Of the process.
            disk_bytes: The size of the disk that its queue is on; by default that of this machine.
            env: Variables besides those that say where things are.
        """
        found = [
            path if "/" in path else str(CONFIGURATIONS / f"{path}.yaml")
            for path in configurations
        ]
        variables = {**self.variables(name), **env}
        command: list[str | Path] = [self._otelcol, *(f"--config={path}" for path in found)]
        if disk_bytes:
            queue = Path(variables["COLLECTOR_QUEUE_DIR"])
            queue.mkdir()
            command = [*_ON_A_SMALL_DISK, str(disk_bytes), queue, *command]
        self.processes.start(name, command, {**os.environ, **variables}, self.directory)
        self.processes.said(name, "Everything is ready", SECONDS_TO_START)

    def variables(self, name: str = "collector") -> dict[str, str]:
        """What a collector's environment says of where things are."""
        return {
            **_SOON,
            "CLICKHOUSE_ENDPOINT": self.clickhouse + _UNCOMPRESSED,
            "COLLECTOR_GRPC": f"127.0.0.1:{self._ports['grpc']}",
            "COLLECTOR_HTTP": f"127.0.0.1:{self._ports['http']}",
            "COLLECTOR_HEALTH": f"127.0.0.1:{self._port(f'{name} health')}",
            "COLLECTOR_METRICS_PORT": str(self._port(f"{name} metrics")),
            "COLLECTOR_QUEUE_DIR": str(self.directory / f"{name}-queue"),
            "JAEGER_ENDPOINT": self._jaeger,
        }

    def metrics(self, name: str = "collector") -> dict[str, float]:
        """What a collector counts, by name; of exporters, what that to ClickHouse counts."""
        port = self._port(f"{name} metrics")
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        lines = re.findall(r"^(\w+)\{([^}]*)\} (\S+)$", text, re.MULTILINE)
        return {
            metric: float(value)
            for metric, labels, value in lines
            if 'exporter="otlp_grpc/jaeger"' not in labels or metric.endswith("_spans")
        }

    def wait_for_records(self, count: int, name: str = "collector", seconds: float = 60) -> None:
        """Wait until a collector has had so many log records taken by ClickHouse."""
        self.processes.wait_for(
            lambda: self.metrics(name).get(_SENT, 0) >= count or None,
            f"{count} records in ClickHouse",
            seconds,
        )

    def run(self, *command: str, **environment: str) -> str:
        """What `otelope` prints, asking ClickHouse; it must succeed."""
        done = self.otelope(*command, **environment)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def otelope(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `otelope` to its end, asking ClickHouse."""
        return subprocess.run(
            [sys.executable, "-m", "otelope", *command, "--clickhouse", self.clickhouse],
            check=False,
            capture_output=True,
            text=True,
            env=plain(**environment),
            timeout=120,
        )

    def ask(self, *command: str, **environment: str) -> Any:
        """The answer of a command in JSON."""
        return json.loads(self.run(*command, "--json", **environment))

    def rows(self, statement: str) -> list[list[Any]]:
        """The rows that ClickHouse answers."""
        options = {"database": "otelope", "default_format": "JSONCompactEachRow"}
        answer = httpx.post(
            self.clickhouse, params=options, content=statement, trust_env=False, timeout=60
        )
        assert answer.status_code == httpx.codes.OK, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def start_api(self) -> str:
        """Start an `otelope up` that reads this ClickHouse; the URL of its questions."""
        up = [sys.executable, "-m", "otelope", "up", "--grpc-port=0", "--http-port=0"]
        command: Sequence[str | Path] = [*up, "--clickhouse", self.clickhouse]
        self.processes.start("otelope up", command, plain(), self.directory)
        said = self.processes.said("otelope up", r"HTTP (\S+),", SECONDS_TO_START)
        return f"http://{said[1]}"

    def _port(self, name: str) -> int:
        if name not in self._ports:
            self._ports[name] = free_port()
        return self._ports[name]
