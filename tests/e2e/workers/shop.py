"""What a shop's workers do, whatever library calls them."""

from __future__ import annotations

import sys
import time

from typing import Any

from otelope import new_id


def command() -> dict[str, Any]:
    return _made("PlaceOrder", "web", None)


def work(received: dict[str, Any]) -> list[dict[str, Any]]:
    """What to send because of a message, of which the output says that it came."""
    print(f"handling {received['type']}", file=sys.stderr, flush=True)
    if received["type"] == "PlaceOrder":
        return [_made("OrderPlaced", "shop", received["id"])]
    return []


def _made(type_: str, service: str, parent_id: str | None) -> dict[str, Any]:
    return {
        "id": new_id(parent_id),
        "timestamp": time.time_ns() // 1_000_000,
        "source": {"name": service, "version": "1.0"},
        "parentId": parent_id,
        "type": type_,
        "payload": {"order": 7},
    }
