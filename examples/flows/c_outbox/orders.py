"""The service orders: commands come over HTTP."""

from __future__ import annotations

import os

from examples.flows.adapters.database import SqlDatabase
from examples.flows.adapters.http import serve
from examples.flows.answers import answer_of
from examples.flows.handler import Handler
from examples.flows.ports import Answer
from examples.flows.service import ORDERS, declare_contracts
from examples.flows.steps import reached
from otelope import Envelope


def main() -> None:
    declare_contracts()
    database = SqlDatabase(os.environ["ORDERS_DB"], "orders", outbox=ORDERS.channel)
    handler = Handler(ORDERS, database)

    def place(command: Envelope) -> Answer:
        reached("api: command")
        reached("service: command")
        return answer_of(handler.handle(handler.store(command)))

    serve("/orders", place)


if __name__ == "__main__":
    main()
