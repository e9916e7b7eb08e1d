"""The ring of orders: commands come over HTTP."""

from __future__ import annotations

import os

from examples.flows.a_ring.ring import Ring
from examples.flows.adapters import broker_of
from examples.flows.adapters.database import SqlDatabase
from examples.flows.adapters.http import serve
from examples.flows.answers import answer_of
from examples.flows.ports import Answer
from examples.flows.service import ORDERS, declare_contracts
from examples.flows.steps import reached
from otelope import Envelope


def main() -> None:
    declare_contracts()
    database = SqlDatabase(os.environ["ORDERS_DB"], "orders")
    ring = Ring(ORDERS, database, broker_of(os.environ["BROKER"], "orders"))

    def place(command: Envelope) -> Answer:
        reached("ring: command")
        return answer_of(ring.handle(ring.store(command)))

    serve("/orders", place)


if __name__ == "__main__":
    main()
