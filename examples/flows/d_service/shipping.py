"""The service shipping: it takes events over HTTP, and stores by itself."""

from __future__ import annotations

import os

import otelope

from examples.flows.adapters.database import SqlDatabase
from examples.flows.adapters.http import serve
from examples.flows.handler import Handler
from examples.flows.ports import Answer
from examples.flows.service import SHIPPING, shipment_of
from examples.flows.steps import reached
from otelope import Envelope


def main() -> None:
    handler = Handler(SHIPPING, SqlDatabase(os.environ["SHIPPING_DB"], "shipping"))

    def take(event: Envelope) -> Answer:
        reached("api: event")
        command = handler.store(shipment_of(event), cause=event)
        with otelope.handling(command):
            reached("service: command")
            (shipped,) = handler.handle(command)
        return Answer(200, {"id": shipped.id, **shipped.payload})

    serve("/events", take)


if __name__ == "__main__":
    main()
