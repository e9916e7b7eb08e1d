"""The service orders: it stores by itself, and tells shipping over HTTP."""

from __future__ import annotations

import os

from examples.flows.adapters.database import SqlDatabase
from examples.flows.adapters.http import HttpPeer, serve
from examples.flows.answers import answer_of
from examples.flows.handler import Handler
from examples.flows.ports import Answer
from examples.flows.service import ORDERS, declare_contracts
from examples.flows.steps import reached
from otelope import Envelope


def main() -> None:
    declare_contracts()
    handler = Handler(ORDERS, SqlDatabase(os.environ["ORDERS_DB"], "orders"))
    shipping = HttpPeer(f"{os.environ['SHIPPING_URL']}/events")

    def place(command: Envelope) -> Answer:
        reached("api: command")
        reached("service: command")
        events = handler.handle(handler.store(command))
        for event in events:
            if event.type == "OrderPlaced":
                # Also of a command that was handled before: shipping may never have heard of it.
                shipping.post(event)
                reached("shipping: event")
        return answer_of(events)

    serve("/orders", place)


if __name__ == "__main__":
    main()
