"""The collector and Jaeger with what docker-compose.yml gives them, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.running.ports import free_port
from tests.e2e.servers import Missing
from tests.e2e.servers.go_programs import jaeger_program, otelcol
from tests.e2e.servers.processes import running
from tests.packaging.compose import ROOT, configuration, services


pytestmark = [pytest.mark.slow, pytest.mark.pipeline]

PROGRAMS = {"collector": otelcol, "jaeger": jaeger_program}
READY = "Everything is ready"
TRACE = "5b8efff798038103d269b633813fc60c"
PATIENCE = 30


class Containers:
    """Runs services as their containers would, with addresses and places of this machine."""

    def __init__(self, directory: Path, **values: str) -> None:
        self._directory = directory
        self._services = services(**values)
        self._here = {"/opt/otelope/ready.py": str(ROOT / "tools/ready.py")}
        for name in PROGRAMS:
            for listens in self._services[name]["environment"].values():
                if str(listens).startswith("0.0.0.0:"):
                    port = listens.rpartition(":")[2]
                    self._here[f"{name}:{port}"] = f"127.0.0.1:{free_port()}"
        queue = self._services["collector"]["environment"]["COLLECTOR_QUEUE_DIR"]
        self._here[queue] = str(directory)
        # Nobody: what is for ClickHouse waits in the queue.
        self._here |= {f"clickhouse:{port}": f"127.0.0.1:{free_port()}" for port in (8123, 9000)}

    def address(self, name: str, port: int) -> str:
        return self._here[f"{name}:{port}"]

    @contextmanager
    def up(self, name: str) -> Iterator[None]:
        try:
            program = PROGRAMS[name]()
        except Missing as error:
            pytest.skip(str(error))
        service = self._services[name]
        files = [f"--config={path}" for path in configuration(service)]
        environment = {
            key: self._moved(text.replace("0.0.0.0:", f"{name}:"))
            for key, text in service["environment"].items()
        }
        # The port of its own metrics is the same for all collectors.
        environment["COLLECTOR_METRICS_PORT"] = str(free_port())
        log = self._directory.with_name(f"{name}.log")
        with running([program, *files], log=log, ready=READY, env=os.environ | environment):
            yield

    def run(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        service = self._services[name]
        _python, *words = [*service["entrypoint"], *options, *service.get("command", ())]
        command = [sys.executable, *map(self._moved, words)]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)

    def _moved(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    directory = tmp_path / "queue"
    directory.mkdir()
    return directory


def test_a_trace_gets_to_jaeger_and_who_waits_for_both_sees_them(queue: Path):
    containers = Containers(queue, JAEGER_STORAGE="memory")
    assert containers.run("queue").returncode == 0
    with containers.up("jaeger"):
        with containers.up("collector"):
            done = containers.run("ready")
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("is ready") == 2
            send_span(containers.address("collector", 4318))
            assert_shown(containers.address("jaeger", 16686))
            assert list(queue.iterdir())
        done = containers.run("ready", "--within=0")
        assert done.returncode == 1
        assert done.stdout.count("is ready") == 1
        assert containers.address("collector", 13133) in done.stderr


def test_jaeger_looks_for_clickhouse_with_a_password_of_digits_too(tmp_path: Path):
    """As far as 2.13 can tell, the newest Jaeger that Go's proxy serves: it has no `ttl` yet."""
    try:
        program = jaeger_program()
    except Missing as error:
        pytest.skip(str(error))
    (file,) = configuration(services(JAEGER_STORAGE="clickhouse")["jaeger"])
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    known = [line for line in lines if not line.lstrip().startswith("ttl:")]
    assert len(known) == len(lines) - 1
    older = tmp_path / "jaeger.yaml"
    older.write_text("".join(known), encoding="utf-8")
    nobody = f"127.0.0.1:{free_port()}"
    given = {"CLICKHOUSE_NATIVE": nobody, "CLICKHOUSE_PASSWORD": "0123456789"}
    done = subprocess.run(
        [program, f"--config={older}"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | given,
        timeout=PATIENCE,
    )
    assert done.returncode != 0
    assert f"failed to ping ClickHouse: dial tcp {nobody}" in done.stderr


def send_span(collector: str) -> None:
    now = time.time_ns()
    span = {
        "traceId": TRACE,
        "spanId": "eee19b7ec3c1b174",
        "name": "send orders.events",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now),
    }
    service = [{"key": "service.name", "value": {"stringValue": "orders"}}]
    spans = {"resource": {"attributes": service}, "scopeSpans": [{"spans": [span]}]}
    request = urllib.request.Request(
        f"http://{collector}/v1/traces",
        json.dumps({"resourceSpans": [spans]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - as above
        assert answer.status == 200


def assert_shown(jaeger: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"http://{jaeger}/api/v3/traces/{TRACE}") as answer:
                assert "send orders.events" in answer.read().decode()
        except urllib.error.HTTPError:
            assert time.monotonic() < deadline, "Jaeger does not have the trace"
            time.sleep(0.1)
        else:
            return
