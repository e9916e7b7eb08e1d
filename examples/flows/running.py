"""A flow's processes, running: started, asked, killed at an arrow and started again."""

from __future__ import annotations

import sys

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from examples.flows.adapters import create_channels
from examples.flows.adapters.database import SqlDatabase
from examples.flows.flow import Flow, Program
from examples.flows.service import ORDERS, SHIPPING
from examples.running.environments import instrument, instrumented
from examples.running.ports import free_port
from examples.running.processes import Processes
from examples.running.servers import SECONDS_TO_START, EmbeddedKafka, Otelope
from otelope import Envelope


TOPICS = ("orders.commands", ORDERS.channel, "shipping.commands", SHIPPING.channel)
# Who listens to a broker that keeps no log; flow B needs one that does.
GROUPS = {"shipping": [ORDERS.channel]}
ROOT = Path(__file__).resolve().parents[2]


class Chosen(NamedTuple):
    """
    What a flow stands on; by default what needs no server.

    Args:
        database: A URL for SQLAlchemy; None: a file for each service.
        broker: ``kafka://host:port`` or ``amqp://…``; None: an embedded Kafka.
    """

    database: str | None = None
    broker: str | None = None


EMBEDDED = Chosen()


class Running:
    """
    A flow's processes.

    Args:
        flow: Which.
        processes: Where they are started.
        directory: For their files.
        otelope: Where their telemetry goes.
        chosen: What they stand on.
        settings: For the environment of each.

    Attributes:
        broker: The broker's URL.
        databases: One per service.
    """

    def __init__(
        self,
        flow: Flow,
        processes: Processes,
        directory: Path,
        otelope: Otelope,
        chosen: Chosen = EMBEDDED,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.flow = flow
        self.otelope = otelope
        self._processes = processes
        self._settings = settings or {}
        self._directory = directory
        if chosen.broker is None:
            self._kafka = EmbeddedKafka(TOPICS)
            self.broker = f"kafka://{self._kafka.address}"
        else:
            self.broker = chosen.broker
            create_channels(self.broker, TOPICS, GROUPS)
        self.databases = {
            service: SqlDatabase(chosen.database or f"sqlite:///{directory / service}.db", service)
            for service in flow.databases
        }
        for database in self.databases.values():
            database.create()
        # Also after a restart the others find it there.
        self._ports = {each.name: free_port() for each in flow.programs if each.http}
        self._client = httpx.Client(trust_env=False, timeout=30)
        for program in flow.programs:
            self._start(program)
        for program in flow.programs:
            self._await(program)

    def post(self, command: Envelope) -> httpx.Response | None:
        """Post a command; None when the service died over it."""
        first = next(iter(self._ports))
        try:
            return self._client.post(f"{self._url(first)}/orders", json=command.to_dict())
        except httpx.TransportError:
            return None

    def tree(self, envelope_id: str) -> dict[str, Any] | None:
        """The tree of an envelope, as far as otelope's store has it; None: nothing of it."""
        answer = self._client.get(f"{self.otelope.questions}/api/tree/{envelope_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def close(self) -> None:
        """Let go of what this process holds of it; its processes are not touched."""
        self._client.close()
        for database in self.databases.values():
            database.engine.dispose()

    def die_after(self, program: str, arrow: str) -> None:
        """Let a program kill itself when it reaches this arrow the next time."""
        self._die_after(program).write_text(arrow, encoding="utf-8")

    def restart(self, program: str) -> int:
        """Wait until a program has ended by itself, and start it again; how it had ended."""
        code = self._processes.wait_for_end(program, SECONDS_TO_START)
        self.start(program)
        return code

    def stop(self, program: str) -> None:
        """Ask a program to end, and wait until it has."""
        self._processes.stop(program)
        self._processes.wait_for_end(program, SECONDS_TO_START)

    def start(self, program: str) -> None:
        """Start a program that was stopped."""
        (found,) = (each for each in self.flow.programs if each.name == program)
        self._start(found)
        self._await(found)

    def reached(self, program: str) -> list[str]:
        """The arrows that a program has reached so far, also before it was started again."""
        lines = self._processes.history(program).splitlines()
        return [line.removeprefix("reached ") for line in lines if line.startswith("reached ")]

    def service_of(self, program: str) -> str:
        """The name by which otelope knows a program."""
        (found,) = (each for each in self.flow.programs if each.name == program)
        return found.service or found.name

    def _start(self, program: Program) -> None:
        databases = {
            f"{service.upper()}_DB": database.engine.url.render_as_string(hide_password=False)
            for service, database in self.databases.items()
        }
        urls = {f"{name.upper()}_URL": self._url(name) for name in self._ports}
        self._processes.start(
            program.name,
            [
                instrument(),
                sys.executable,
                *("-m", f"examples.flows.{self.flow.package}.{program.module or program.name}"),
            ],
            instrumented(
                program.service or program.name,
                program.version,
                self.otelope.receiver,
                BROKER=self.broker,
                PORT=str(self._ports.get(program.name, 0)),
                DIE_AFTER=str(self._die_after(program.name)),
                # Where nobody has compiled the libraries, a start takes 1.7 s instead of 0.7.
                PYTHONDONTWRITEBYTECODE="",
                PYTHONPYCACHEPREFIX=str(self._directory / "bytecode"),
                **databases,
                **urls,
                **self._settings,
            ),
            ROOT,
        )

    def _await(self, program: Program) -> None:
        self._processes.said(program.name, program.ready, SECONDS_TO_START)

    def _url(self, program: str) -> str:
        return f"http://127.0.0.1:{self._ports[program]}"

    def _die_after(self, program: str) -> Path:
        return self._directory / f"{program}.die-after"
