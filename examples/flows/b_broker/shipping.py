"""The service shipping: turns orders into commands to itself, and handles those."""

from __future__ import annotations

import os

from examples.flows.adapters import broker_of, log_of
from examples.flows.b_broker.channels import SHIPPING_COMMANDS
from examples.flows.b_broker.handler import Handler
from examples.flows.messages import Unreadable, read
from examples.flows.ports import Refused
from examples.flows.service import ORDERS, SHIPPING, shipment_of
from examples.flows.steps import reached


def main() -> None:
    broker = broker_of(os.environ["BROKER"], "shipping")
    log = log_of(os.environ["BROKER"])
    said = log.replay([SHIPPING_COMMANDS, SHIPPING.channel])
    handler = Handler(SHIPPING, broker, said)

    def take(message: bytes) -> None:
        received = read(message)
        reached(f"service: {received.type}")
        if received.type == "ShipOrder":
            handler.handle(received)
        elif received.type == "OrderPlaced" and not handler.answered(received):
            command = shipment_of(received)
            handler.publish(SHIPPING_COMMANDS, SHIPPING.key_of(command), [command])
            reached("broker: publish(command)")

    broker.consume([ORDERS.channel, SHIPPING_COMMANDS], take, hopeless=(Unreadable, Refused))


if __name__ == "__main__":
    main()
