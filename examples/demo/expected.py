"""What each order must have led to by the end."""

from __future__ import annotations

from typing import Any, NamedTuple


class Step(NamedTuple):
    """
    An envelope and what came of it.

    Args:
        type: Such as ``OrderPlaced``.
        source: Who sent it.
        channel: Where to.
        handled: Who handled it, and the error where that failed.
        then: What it caused, by type.
    """

    type: str
    source: str
    channel: str
    handled: frozenset[tuple[str, str | None]] = frozenset()
    then: tuple[Step, ...] = ()


def step_of(node: dict[str, Any]) -> Step:
    """What a node of a tree (``GET /api/tree/{id}``) says, but for what differs between runs."""
    return Step(
        node["type"],
        node["source"]["name"] if node["source"] else "",
        node["channel"],
        frozenset((each["service"], _error(each)) for each in node["deliveries"]),
        tuple(sorted(map(step_of, node["children"]), key=lambda step: step.type)),
    )


def _error(delivery: dict[str, Any]) -> str | None:
    if delivery["outcome"] == "error":
        # Qualified by its module, which depends on how the program was started.
        return str(delivery["error_type"]).rpartition(".")[2]
    return None if delivery["outcome"] == "ok" else str(delivery["outcome"])


def _order(charged: str | None, *then: Step) -> Step:
    """An order, whose charging ends like this and leads to that."""
    charge = Step(
        "ChargeCard", "payments", "payments.commands", frozenset({("payments", charged)}), then
    )
    parcel = Step("ParcelPacked", "shipping", "shipping.events")
    placed = Step(
        "OrderPlaced",
        "orders",
        "orders.events",
        frozenset({("payments", None), ("shipping", None)}),
        (charge, parcel),
    )
    return Step("PlaceOrder", "web-shop", "/orders", frozenset({("orders", None)}), (placed,))


def _payment(outcome: str, parcel: str) -> Step:
    return Step(
        outcome,
        "payments",
        "payments.events",
        frozenset({("shipping", None)}),
        (Step(parcel, "shipping", "shipping.events"),),
    )


PAID = _order(None, _payment("PaymentTaken", "ShipmentBooked"))
DECLINED = _order("CardDeclined", _payment("PaymentFailed", "ParcelUnpacked"))
