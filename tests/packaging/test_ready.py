"""What waits in containers: for addresses that answer and directories that can be written to."""

from __future__ import annotations

import os
import subprocess
import sys

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from examples.running.ports import free_port


READY = Path(__file__).parents[2] / "tools/ready.py"


class Service(BaseHTTPRequestHandler):
    """Is ill, until it has been asked twice."""

    asked = 0

    def do_GET(self) -> None:
        Service.asked += 1
        self.send_response(200 if Service.asked > 2 else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


@contextmanager
def service() -> Iterator[str]:
    Service.asked = 0
    server = HTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def ready(*words: str, **own: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, READY, *words],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **own},
        timeout=60,
    )


def test_waits_until_an_address_answers_well():
    with service() as address:
        done = ready("--within=30", address)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{address} is ready\n", "")
    assert Service.asked == 3


def test_gives_up_with_the_reason():
    with service() as address:
        done = ready("--within=0", address)
    assert done.returncode == 1
    assert done.stderr == f"{address} is not ready after 0 s: Service Unavailable\n"


def test_looks_at_all_whatever_the_first_ones_say(tmp_path: Path):
    nobody = f"http://127.0.0.1:{free_port()}/"
    done = ready("--within=0", nobody, str(tmp_path))
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert done.stdout == f"{tmp_path} is ready\n"


def test_a_proxy_has_no_say():
    with service() as address:
        done = ready("--within=30", address, http_proxy=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stderr


def test_a_directory_that_is_not_there_is_not_ready(tmp_path: Path):
    done = ready("--within=0", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "cannot write there" in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_who_a_directory_is_closed_to_is_named():
    done = ready("--within=0", "/")
    assert done.returncode == 1
    assert done.stderr == f"/ is not ready after 0 s: user {os.getuid()} cannot write there\n"
