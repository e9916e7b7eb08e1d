"""PostgreSQL, one cluster of its own, as its own user where root starts it."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.e2e.servers.processes import Missing, running


# Debian keeps each major version's programs to itself; on PATH is only a wrapper of its clients.
PROGRAMS = Path("/usr/lib/postgresql")
# Durability against a power cut, which no test has, costs a cluster on a slow disk seconds.
SETTINGS = {"fsync": "off", "unix_socket_directories": "", "listen_addresses": "127.0.0.1"}


def _program(name: str) -> str:
    versions = sorted(PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    if found := shutil.which(versions[-1] if versions else name):
        return found
    raise Missing("PostgreSQL is not installed: apt-get install postgresql")


@contextmanager
def postgresql() -> Iterator[str]:
    """A fresh cluster; the address of its database, ``postgresql://user:…@127.0.0.1:port/…``."""
    initdb, postgres = _program("initdb"), _program("postgres")
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="otelope-postgresql-") as name:
        directory = Path(name)
        data = directory / "data"
        password = secrets.token_urlsafe()
        password_file = directory / "password"
        password_file.write_text(password, encoding="utf-8")
        if user:
            shutil.chown(directory, user, user)
            shutil.chown(password_file, user, user)
        env = {"PATH": os.environ["PATH"], "HOME": name, "LC_ALL": "C"}
        access = ["--username=otelope", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        content = ["--no-locale", "--encoding=UTF8", "--no-sync"]
        made = subprocess.run(
            [initdb, f"--pgdata={data}", *access, *content],
            check=False,
            capture_output=True,
            text=True,
            cwd=directory,
            env=env,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
        if made.returncode:
            raise RuntimeError(f"initdb could not make a cluster:\n{made.stdout}{made.stderr}")
        port = free_port()
        settings = [f"--{key}={value}" for key, value in SETTINGS.items()]
        with running(
            [postgres, "-D", data, f"--port={port}", *settings],
            log=directory / "log",
            ready="ready to accept connections",
            env=env,
            user=user,
            # SIGTERM would wait for every client to leave.
            stop=signal.SIGINT,
        ):
            yield f"postgresql://otelope:{password}@127.0.0.1:{port}/postgres"
