"""The web shop, whose customers order: the client of all flows."""

from __future__ import annotations

import time

from dataclasses import asdict

from examples.flows.domain.orders import PlaceOrder
from otelope import Envelope, Source, new_id


SOURCE = Source("web-shop", "3.0.0")


def command_of(order: PlaceOrder) -> Envelope:
    """A new command; posted again, it keeps its id."""
    return Envelope(
        new_id(),
        "PlaceOrder",
        time.time_ns() // 1_000_000,
        SOURCE,
        kind="command",
        payload=asdict(order),
    )
