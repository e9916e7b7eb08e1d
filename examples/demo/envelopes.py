"""How the services of this shop write a message: with an id, and the id of what caused it."""

from __future__ import annotations

import os
import time

from typing import Any

from otelope import new_id


Envelope = dict[str, Any]

SOURCE = {"name": os.environ["SERVICE_NAME"], "version": os.environ["SERVICE_VERSION"]}


def envelope(type: str, payload: dict[str, Any], *, cause: Envelope) -> Envelope:  # noqa: A002 - the envelope's own word
    """A command or an event that the handling of another one leads to."""
    return {
        "id": new_id(cause["id"]),
        "timestamp": time.time_ns() // 1_000_000,
        "source": SOURCE,
        "parentId": cause["id"],
        "type": type,
        "payload": payload,
    }
