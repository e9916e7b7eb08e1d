"""The service orders: its commands come from the broker."""

from __future__ import annotations

import os

from examples.flows.adapters import broker_of, log_of
from examples.flows.b_broker.channels import ORDERS_COMMANDS
from examples.flows.b_broker.handler import Handler
from examples.flows.domain.orders import UnknownArticle
from examples.flows.messages import Unreadable, read
from examples.flows.ports import Refused
from examples.flows.service import ORDERS
from examples.flows.steps import reached


def main() -> None:
    broker = broker_of(os.environ["BROKER"], "orders")
    said = log_of(os.environ["BROKER"]).replay([ORDERS.channel])
    handler = Handler(ORDERS, broker, said)

    def take(message: bytes) -> None:
        command = read(message)
        reached(f"service: {command.type}")
        handler.handle(command)

    broker.consume([ORDERS_COMMANDS], take, hopeless=(UnknownArticle, Unreadable, Refused))


if __name__ == "__main__":
    main()
