"""
A flow: `python -m examples.flows a|b|c|d`.

`otelope up`, an embedded Kafka and the flow's processes run on loopback and free ports, with
everything they write in a temporary directory. DATABASE and BROKER choose real servers, JAEGER is
where the spans go instead.
"""

from __future__ import annotations

import itertools
import os
import sys

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

from examples.flows.domain.orders import PlaceOrder
from examples.flows.expected import FAILED, PLACED, REJECTED, Shape, is_complete
from examples.flows.flow import PACKAGES, flow_of
from examples.flows.running import Chosen, Running
from examples.flows.web_shop import command_of
from examples.running.processes import Failed, Processes
from examples.running.program import run
from examples.running.servers import start_otelope
from otelope.cli.render import tree_lines
from otelope.cli.style import style_for


SECONDS_BETWEEN_ORDERS = 5
SECONDS_TO_COMPLETE = 30

# What a customer orders, and what must come of it; the third is beyond the limit.
WISHES: tuple[tuple[str, int, Shape], ...] = (
    ("book", 2, PLACED),
    ("desk", 3, PLACED),
    ("lamp", 2, REJECTED),
    ("unicorn", 1, FAILED),
)


def main() -> int:
    """Run a flow until Ctrl-C; with ONCE=1, until four orders have been told."""
    if sys.argv[1:] not in [[letter] for letter in PACKAGES]:
        print(f"usage: python -m examples.flows {'|'.join(PACKAGES)}", file=sys.stderr)
        return 2
    return run(f"flow {sys.argv[1]}", _show)


def _show(processes: Processes, directory: Path, *, once: bool) -> None:
    flow = flow_of(sys.argv[1])
    chosen = Chosen(os.environ.get("DATABASE"), os.environ.get("BROKER"))
    programs = ", ".join(program.name for program in flow.programs)
    _say(f"Starting otelope up, {'' if chosen.broker else 'a Kafka, '}{programs} ...\n")
    otelope = start_otelope(processes, directory)
    jaeger = os.environ.get("JAEGER")
    settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": jaeger} if jaeger else {}
    running = Running(flow, processes, directory, otelope, chosen, settings)
    orders = _orders()
    for order, expected in itertools.islice(orders, len(WISHES)):
        _tell(running, processes, order, expected)
    if once:
        return
    _say(_look_further(otelope.questions))
    for order, expected in orders:
        processes.pause(SECONDS_BETWEEN_ORDERS)
        _tell(running, processes, order, expected)


def _orders() -> Iterator[tuple[PlaceOrder, Shape]]:
    # A database that outlives this run knows the customers of earlier ones.
    run = token_hex(3)
    for number in itertools.count(1):
        for article, quantity, expected in WISHES:
            customer = f"customer-{run}-{number}"
            yield (
                PlaceOrder(f"order-{run}-{number}-{article}", customer, article, quantity),
                expected,
            )


def _tell(running: Running, processes: Processes, order: PlaceOrder, expected: Shape) -> None:
    command = command_of(order)
    answer = running.post(command)
    if answer is None:
        raise Failed("The flow did not answer.")

    def complete() -> dict[str, Any] | None:
        tree = running.tree(command.id)
        return tree if tree is not None and is_complete(tree["root"], expected) else None

    tree = processes.wait_for(complete, f"the tree of {command.id}", SECONDS_TO_COMPLETE)
    _say(f"POST {order.quantity} × {order.article}: {answer.status_code}")  # noqa: RUF001
    _say("\n".join(tree_lines(tree, style_for(sys.stdout))) + "\n")


def _look_further(questions: str) -> str:
    otelope = Path(sys.executable).with_name("otelope")
    return "\n".join(
        [
            "An order every few seconds, until Ctrl-C. Meanwhile, in another terminal:",
            "",
            f"  {otelope} tail --store {questions}",
            f"  {otelope} find --failed --store {questions}",
            f"  {otelope} tree ID --store {questions}",
            f"  curl {questions}/api/tree/ID",
            "",
            "The README of each flow says what is stored when, and what a crash leaves behind.",
        ]
    )


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
