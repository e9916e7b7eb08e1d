"""The ring of shipping: fed by the broker."""

from __future__ import annotations

import os

import otelope

from examples.flows.a_ring.ring import Ring
from examples.flows.adapters import broker_of
from examples.flows.adapters.database import SqlDatabase
from examples.flows.messages import Unreadable, read
from examples.flows.ports import Refused
from examples.flows.service import ORDERS, SHIPPING, shipment_of
from examples.flows.steps import reached


def main() -> None:
    database = SqlDatabase(os.environ["SHIPPING_DB"], "shipping")
    broker = broker_of(os.environ["BROKER"], "shipping")
    ring = Ring(SHIPPING, database, broker)

    def take(message: bytes) -> None:
        event = read(message)
        if event.type != "OrderPlaced":
            return
        reached("ring: event")
        command = ring.store(shipment_of(event), cause=event)
        with otelope.handling(command):
            reached("ring: command")
            ring.handle(command)

    broker.consume([ORDERS.channel], take, hopeless=(Unreadable, Refused))


if __name__ == "__main__":
    main()
