"""The service shipping: it takes events over HTTP, and stores by itself."""

from __future__ import annotations

import os

import otelope

from examples.flows.adapters.database import SqlDatabase
from examples.flows.adapters.http import serve
from examples.flows.d_service.storing import StoringService
from examples.flows.ports import Answer
from examples.flows.service import SHIPPING, shipment_of
from examples.flows.steps import reached
from otelope import Envelope


def main() -> None:
    database = SqlDatabase(os.environ["SHIPPING_DB"], "shipping")
    service = StoringService(SHIPPING, database)

    def take(event: Envelope) -> Answer:
        reached("api: event")
        # Posted again, the event leads to the command that it has led to before.
        command = next(iter(database.caused_by(event)), None) or shipment_of(event)
        with otelope.handling(command):
            (shipped,) = service.handle(command)
        return Answer(200, {"id": shipped.id, **shipped.payload})

    serve("/events", take)


if __name__ == "__main__":
    main()
