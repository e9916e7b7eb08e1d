"""
The demo: three services, a broker, and what caused what.

`otelope up`, an embedded Kafka and the services run as processes of their own, on loopback and
free ports, with everything they write in a temporary directory.
"""

from __future__ import annotations

import itertools
import sys

from pathlib import Path
from typing import Any, NamedTuple

import httpx

from examples.demo.expected import DECLINED, PAID, Step, step_of
from examples.demo.shop import EMPTY_CARD, SECONDS_BETWEEN_ORDERS, orders, place
from examples.demo.topics import TOPICS
from examples.running.environments import instrument, instrumented
from examples.running.processes import Failed, Processes
from examples.running.program import run
from examples.running.servers import SECONDS_TO_START, EmbeddedKafka, start_otelope
from otelope.cli.render import tree_lines
from otelope.cli.style import style_for


HERE = Path(__file__).resolve().parent
SECONDS_TO_COMPLETE = 30


class Service(NamedTuple):
    """A service, and what it prints when it is ready."""

    name: str
    version: str
    ready: str


SERVICES = (
    Service("orders", "1.4.0", r"running on (http://\S+)"),
    Service("payments", "2.1.0", r"(ready)"),
    Service("shipping", "0.9.3", r"(ready)"),
)


class Demo:
    """Everything up and running."""

    def __init__(self, processes: Processes, directory: Path) -> None:
        self._processes = processes
        self._kafka = EmbeddedKafka(TOPICS)
        program = instrument()
        otelope = start_otelope(processes, directory)
        self.store = otelope.questions
        for service in SERVICES:
            processes.start(
                service.name,
                [program, sys.executable, HERE / f"{service.name}.py"],
                instrumented(
                    service.name,
                    service.version,
                    otelope.receiver,
                    KAFKA=self._kafka.address,
                    PORT="0",
                    SERVICE_NAME=service.name,
                    SERVICE_VERSION=service.version,
                ),
                directory,
            )
        said = [
            processes.said(service.name, service.ready, SECONDS_TO_START) for service in SERVICES
        ]
        self.orders = said[0][1]
        self._client = httpx.Client(trust_env=False, timeout=10)

    def order(self, command: dict[str, Any]) -> dict[str, Any]:
        """Order something; the tree of the command, as soon as the store has all of it."""
        try:
            place(command, self.orders)
        except OSError as error:
            raise Failed(f"The order service does not take orders: {error}") from None
        declined = command["payload"]["card"] == EMPTY_CARD
        return self.tree(command["id"], DECLINED if declined else PAID)

    def tree(self, envelope_id: str, expected: Step) -> dict[str, Any]:
        """The whole tree of an envelope, as soon as the store has all of it."""
        latest: dict[str, Any] = {}

        def complete() -> dict[str, Any] | None:
            answer = self._client.get(f"{self.store}/api/tree/{envelope_id}")
            if answer.status_code == httpx.codes.OK:
                latest.update(answer.json())
                if step_of(latest["root"]) == expected:
                    return latest
            return None

        try:
            return self._processes.wait_for(
                complete, f"the tree of {envelope_id}", SECONDS_TO_COMPLETE
            )
        except Failed as failure:
            seen = step_of(latest["root"]) if latest else "nothing"
            raise Failed(f"{failure}\n\nexpected {expected}\n\nseen {seen}") from None


def main() -> int:
    """Run the demo until Ctrl-C; with ONCE=1, until two orders have been told."""
    return run("demo", _show)


def _show(processes: Processes, directory: Path, *, once: bool) -> None:
    _say("Starting otelope up, a Kafka and three services ...\n")
    demo = Demo(processes, directory)
    commands = orders()
    for command in itertools.islice(commands, 2):
        _tell(demo.order(command))
    if once:
        return
    _say(_look_further(demo))
    for command in commands:
        processes.pause(SECONDS_BETWEEN_ORDERS)
        _tell(demo.order(command))


def _tell(tree: dict[str, Any]) -> None:
    _say("\n".join(tree_lines(tree, style_for(sys.stdout))) + "\n")


def _look_further(demo: Demo) -> str:
    store = f"--store {demo.store}"
    otelope = Path(sys.executable).with_name("otelope")
    return "\n".join(
        [
            "An order every few seconds, until Ctrl-C. Meanwhile, in another terminal:",
            "",
            f"  {otelope} tail {store}",
            f"  {otelope} find --failed {store}",
            f"  {otelope} tree ID {store}    ID: of any message, or its first 6 characters",
            f"  curl {demo.store}/api/tree/ID",
            "",
            f"In the browser: {demo.store}/",
            "",
        ]
    )


def _say(text: str) -> None:
    print(text, flush=True)
