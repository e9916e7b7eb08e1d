"""What a shop does, whatever server it runs under."""

from __future__ import annotations

import os

from typing import Any

import otelope


def opens() -> None:
    """
    Tell that it opens, where it is told what the cause is: as it is imported.

    Before a server forks its workers, the threads that export run already then.
    """
    if "OPENED_BY" in os.environ:
        with otelope.handling(otelope.envelope("ShopOpened", {}, parent=os.environ["OPENED_BY"])):
            pass


def place(order: dict[str, Any]) -> dict[str, Any]:
    """Which order was placed, and by which process."""
    return {"id": order["id"], "pid": os.getpid()}
