"""The envelopes that the contract sends."""

from __future__ import annotations

import json
import secrets
import string
import time

from collections.abc import Callable
from typing import NamedTuple
from uuid import uuid4

from otelope.core.placement import Spot
from otelope.model.identity import identify, new_id


# command -> event -> command -> event
CHAIN = ("PlaceOrder", "OrderPlaced", "ShipOrder", "OrderShipped")
KINDS = dict(zip(CHAIN, ("command", "event", "command", "event"), strict=True))

MakeId = Callable[[str | None], str]


class Sent(NamedTuple):
    """An envelope as an application makes it, and the bytes it sends."""

    id: str
    type: str
    parent_id: str | None
    timestamp: int
    body: bytes

    @property
    def spot(self) -> Spot:
        """Where its span stands by its id alone."""
        identity = identify(self.id)
        return Spot(identity.trace_id, identity.span_id)


def make(
    envelope_type: str = CHAIN[0],
    parent_id: str | None = None,
    make_id: MakeId = new_id,
    **payload: object,
) -> Sent:
    """An envelope with its metadata at the top level of a JSON object."""
    id_ = make_id(parent_id)
    timestamp = int(time.time() * 1000)
    wire = {
        "id": id_,
        "timestamp": timestamp,
        "source": {"name": "shop", "version": "1.2"},
        "parentId": parent_id,
        "type": envelope_type,
        "payload": {"order": 7, **payload},
    }
    return Sent(id_, envelope_type, parent_id, timestamp, json.dumps(wire).encode())


def foreign_id(_: str | None) -> str:
    """An id that says nothing of its parent, as most applications make them."""
    return str(uuid4())


def follow(body: bytes, make_id: MakeId = new_id) -> Sent | None:
    """What a service of the chain sends when it has handled this; None at its end."""
    got = json.loads(body)
    place = CHAIN.index(got["type"]) + 1
    return make(CHAIN[place], got["id"], make_id) if place < len(CHAIN) else None


def new_channel() -> str:
    """A name that no other test uses; letters only, since digits look like ids in a route."""
    return "orders" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(8))


def attributes_of(sent: Sent, system: str, operation: str, destination: str) -> dict[str, object]:
    """What a span of this envelope says."""
    expected: dict[str, object] = {
        "messaging.system": system,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": destination,
        "otelope.envelope.id": sent.id,
        "otelope.envelope.type": sent.type,
        "otelope.envelope.source.name": "shop",
        "otelope.envelope.source.version": "1.2",
        "otelope.envelope.kind": KINDS[sent.type],
    }
    if sent.parent_id is not None:
        expected["otelope.envelope.parent_id"] = sent.parent_id
    return expected
