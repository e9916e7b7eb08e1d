"""The service shipping: fed by the broker; its events wait in an outbox of its own."""

from __future__ import annotations

import os

import otelope

from examples.flows.adapters import broker_of
from examples.flows.adapters.database import SqlDatabase
from examples.flows.c_outbox.handler import Handler
from examples.flows.messages import read
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
        # Delivered again, the event leads to the command that it has led to before.
        command = next(iter(database.caused_by(event)), None) or shipment_of(event)
        with otelope.handling(command):
            handler.handle(command)

    broker_of(os.environ["BROKER"], "shipping").consume([ORDERS.channel], take)


if __name__ == "__main__":
    main()
