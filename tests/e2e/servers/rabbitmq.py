"""RabbitMQ, one node, as its own user where root starts it."""

from __future__ import annotations

import os
import shutil
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.running.ports import free_port
from tests.e2e.servers.processes import Missing, running


# Debian's /usr/sbin/rabbitmq-server insists on root or rabbitmq; the script behind it does not.
PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")


def _program() -> str:
    for candidate in PROGRAMS:
        if found := shutil.which(candidate):
            return found
    raise Missing("RabbitMQ is not installed: apt-get install rabbitmq-server")


@contextmanager
def rabbitmq() -> Iterator[str]:
    """A fresh node; its address, ``amqp://guest:guest@127.0.0.1:port/%2F``."""
    server = _program()
    epmd = shutil.which("epmd")
    if epmd is None:
        raise Missing("RabbitMQ is there, but not Erlang's epmd: apt-get install erlang-base")
    user = "rabbitmq" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="otelope-rabbitmq-") as name:
        directory = Path(name)
        if user:
            shutil.chown(directory, user, user)
        port, names_port = free_port(), free_port()
        # Each variable keeps it out of /etc/rabbitmq and /var/lib/rabbitmq, and on loopback.
        env = {
            "PATH": os.environ["PATH"],
            "HOME": name,
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names_port),
            "RABBITMQ_CONF_ENV_FILE": f"{name}/none.conf",
            "RABBITMQ_CONFIG_FILE": f"{name}/none",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{name}/plugins",
            "RABBITMQ_LOG_BASE": name,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": f"{name}/mnesia",
            "RABBITMQ_NODENAME": f"otelope{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_PID_FILE": f"{name}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # epmd as our own child: the one that Erlang starts by itself outlives the node.
        with (
            running(
                [epmd, "-d"],
                log=directory / "epmd.log",
                ready="epmd running",
                env=env,
                user=user,
            ),
            running(
                [server],
                log=directory / "log",
                ready="Server startup complete",
                env=env,
                user=user,
            ),
        ):
            yield f"amqp://guest:guest@127.0.0.1:{port}/%2F"
