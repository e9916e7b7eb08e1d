"""What customers of the flows order, and what must come of each order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from examples.flows.domain.orders import PlaceOrder
from examples.flows.running import Running
from examples.flows.web_shop import command_of
from otelope import Envelope


# Each customer's orders, one after the other: 40, 940, no 1030, no unicorn, 985, no 1005.
BASKET = (
    ("book", 2, "placed"),
    ("desk", 3, "placed"),
    ("lamp", 2, "rejected"),
    ("unicorn", 1, "failed"),
    ("lamp", 1, "placed"),
    ("book", 1, "rejected"),
)
CUSTOMERS = 9
# What the databases must say of each customer in the end.
ACCOUNT = {"orders": 3, "total": 985}
PARCELS = {"shipped": 3}


class Sale(NamedTuple):
    """A command that was posted, what must come of it, and the answer."""

    command: Envelope
    outcome: str
    status: int
    answer: dict[str, Any]


def customers() -> list[str]:
    return [f"customer-{number}" for number in range(CUSTOMERS)]


def order_of(customer: str, article: str = "book", quantity: int = 1) -> Envelope:
    """A command with an order of its own."""
    return command_of(PlaceOrder(f"{customer}-{article}-{quantity}", customer, article, quantity))


def latest_placed(sales: Sequence[Sale]) -> Envelope:
    """One whose way nothing slows down that happens only the first time."""
    return [sale.command for sale in sales if sale.outcome == "placed"][-1]


def buy(running: Running) -> list[Sale]:
    """Post every customer's basket, several customers at a time."""
    with ThreadPoolExecutor(4) as pool:
        return [
            sale
            for sales in pool.map(lambda c: list(_buy(running, c)), customers())
            for sale in sales
        ]


def _buy(running: Running, customer: str) -> Iterator[Sale]:
    for article, quantity, outcome in BASKET:
        command = order_of(customer, article, quantity)
        answer = running.post(command)
        assert answer is not None
        yield Sale(command, outcome, answer.status_code, answer.json())
