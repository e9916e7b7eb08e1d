"""The writer: stores what the services and their clients tell each other, and the states."""

from __future__ import annotations

import os

from typing import Any

from examples.flows.adapters import broker_of
from examples.flows.adapters.database import SqlDatabase
from examples.flows.b_broker.channels import ORDERS_COMMANDS, SHIPPING_COMMANDS
from examples.flows.messages import Unreadable, read
from examples.flows.ports import Database
from examples.flows.service import ORDERS, SHIPPING, Service
from examples.flows.steps import reached
from otelope import Envelope


def main() -> None:
    orders = SqlDatabase(os.environ["ORDERS_DB"], "orders")
    shipping = SqlDatabase(os.environ["SHIPPING_DB"], "shipping")

    def take(message: bytes) -> None:
        received = read(message)
        reached(f"writer: {received.type}")
        # Anybody may publish: the type says whose it is, not who it says that it is from.
        if SHIPPING.takes(received) or SHIPPING.tells(received):
            _store(received, SHIPPING, shipping)
        else:
            _store(received, ORDERS, orders)

    channels = [ORDERS_COMMANDS, ORDERS.channel, SHIPPING_COMMANDS, SHIPPING.channel]
    broker_of(os.environ["BROKER"], "writer").consume(channels, take, hopeless=(Unreadable,))


def _store(received: Envelope, service: Service[Any, Any, Any], database: Database) -> None:
    if service.takes(received):
        service.key_of(received)  # what nobody can read is not stored
        database.store(received, received.id)
        reached(f"db: store({received.type})")
    else:
        before = database.state(service.key_of_event(received))
        database.append(received, before, service.state_after(received, before.value))
        reached(f"db: store({received.type}, state)")


if __name__ == "__main__":
    main()
