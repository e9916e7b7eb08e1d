"""
Get the servers that the tests use: `python3 -m tests.e2e.servers.install`.

On Debian and as root it installs their packages; elsewhere it says which are missing, and the
tests that need them are skipped (on CI: fail). What is built, the collector, Jaeger and Pub/Sub,
takes 4 minutes on two cores, once. Standard library only.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.servers.apache_kafka import jars
from tests.e2e.servers.earlier import LIBRARY as FAKETIME
from tests.e2e.servers.go_programs import jaeger_program, otelcol, pubsub_program
from tests.e2e.servers.postgresql import PROGRAMS as POSTGRESQL
from tests.e2e.servers.processes import Missing


# What must be there (a name on PATH, or a path's pattern), and the Debian package that brings it.
PACKAGES = {
    "java": "default-jre-headless",
    "mvn": "maven",
    "/usr/lib/rabbitmq/bin/rabbitmq-server": "rabbitmq-server",
    "epmd": "erlang-base",
    f"{POSTGRESQL}/*/bin/postgres": "postgresql",
    "nats-server": "nats-server",
    "/usr/sbin/mosquitto": "mosquitto",
    "redis-server": "redis-server",
    FAKETIME: "libfaketime",
    "chromium": "chromium",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> None:
    missing = [package for program, package in PACKAGES.items() if not _is_there(program)]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        _apt(missing)
        missing = []
    if missing:
        names = " ".join(missing)
        print(f"servers: tests that need them are skipped; to run them: apt-get install {names}")
    # Side by side: one downloads and links by one thread while another compiles.
    with ThreadPoolExecutor() as pool:
        list(pool.map(_get, (jars, otelcol, jaeger_program, pubsub_program)))


def _get(get: Callable[[], Path]) -> None:
    with suppress(Missing):
        get()


def _is_there(program: str) -> bool:
    return bool(shutil.which(program) or glob.glob(program))  # noqa: PTH207 - Path has no absolute patterns


def _apt(packages: list[str]) -> None:
    print(f"servers: apt-get install {' '.join(packages)}", flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *packages]
    with _nothing_started():
        for command in (["apt-get", "-qq", "update"], install):
            done = subprocess.run(
                command, check=False, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            if done.returncode:
                output = done.stdout.decode(errors="replace")
                sys.exit(f"{output}\nservers: {' '.join(command)} failed, see above")


@contextmanager
def _nothing_started() -> Iterator[None]:
    # Debian starts a service when it installs it; the tests start their own, elsewhere.
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


if __name__ == "__main__":
    main()
