"""The service shipping: fed by the broker; its events wait in an outbox of its own."""

from __future__ import annotations

import os

import otelope

from examples.flows.adapters import broker_of
from examples.flows.adapters.database import SqlDatabase
from examples.flows.handler import Handler
from examples.flows.messages import Unreadable, read
from examples.flows.service import ORDERS, SHIPPING, shipment_of
from examples.flows.steps import reached


def main() -> None:
    database = SqlDatabase(os.environ["SHIPPING_DB"], "shipping", outbox=SHIPPING.channel)
    handler = Handler(SHIPPING, database)

    def take(message: bytes) -> None:
        event = read(message)
        if event.type != "OrderPlaced":
            return
        reached("service: event")
        command = handler.store(shipment_of(event), cause=event)
        with otelope.handling(command):
            reached("service: command")
            handler.handle(command)

    broker = broker_of(os.environ["BROKER"], "shipping")
    broker.consume([ORDERS.channel], take, hopeless=(Unreadable,))


if __name__ == "__main__":
    main()
