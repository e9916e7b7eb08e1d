"""The HTTP API: takes commands, and leaves them to the broker."""

from __future__ import annotations

import os

from examples.flows.adapters import broker_of
from examples.flows.adapters.http import serve
from examples.flows.b_broker.channels import ORDERS_COMMANDS
from examples.flows.ports import Answer, Keyed
from examples.flows.service import ORDERS
from examples.flows.steps import reached
from otelope import Envelope


def main() -> None:
    broker = broker_of(os.environ["BROKER"], "api")

    def place(command: Envelope) -> Answer:
        reached("api: command")
        broker.publish(ORDERS_COMMANDS, [Keyed(ORDERS.key_of(command), command.to_json())])
        reached("broker: publish(command)")
        return Answer(201, {"id": command.id})

    serve("/orders", place)


if __name__ == "__main__":
    main()
