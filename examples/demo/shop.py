"""The customers: an order every few seconds; `ORDERS=http://host:port python shop.py`."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
import urllib.request

from collections.abc import Iterator
from typing import Any

from otelope import new_id


SECONDS_BETWEEN_ORDERS = 5

GOOD_CARD = "4242 4242 4242 4242"
EMPTY_CARD = "4000 0000 0000 0002"


def orders() -> Iterator[dict[str, Any]]:
    """The commands, without end; every third is paid with a card that has nothing on it."""
    for number, card in enumerate(itertools.cycle((GOOD_CARD, EMPTY_CARD, GOOD_CARD)), start=1):
        yield {
            "id": new_id(),
            "timestamp": time.time_ns() // 1_000_000,
            "source": {"name": "web-shop", "version": "3.0.0"},
            "parentId": None,
            "type": "PlaceOrder",
            "payload": {"orderId": f"order-{number}", "total": f"{17 * number}.90", "card": card},
        }


def place(command: dict[str, Any], url: str) -> None:
    """
    Send an order to the order service.

    Raises:
        OSError: It does not take it.
    """
    request = urllib.request.Request(  # noqa: S310 - http, from our own environment
        f"{url}/orders", json.dumps(command).encode(), {"Content-Type": "application/json"}
    )
    # A proxy has no say between a shop and its services.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(request, timeout=10).close()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for command in orders():
        try:
            place(command, os.environ["ORDERS"])
        except OSError as error:
            sys.exit(f"shop: {os.environ['ORDERS']} does not take orders: {error}")
        print(f"{command['payload']['orderId']}: otelope tree {command['id']}", flush=True)
        time.sleep(SECONDS_BETWEEN_ORDERS)


if __name__ == "__main__":
    main()
