"""Orders: what a customer may order, up to a limit. No I/O, no ids, no clock."""

from __future__ import annotations

from dataclasses import dataclass, replace


PRICES = {"book": 20, "lamp": 45, "desk": 300}
LIMIT = 1000


class UnknownArticle(Exception):  # noqa: N818 - what is wrong, in the words of the trade
    """The web shop offers what the catalogue does not have."""


@dataclass(frozen=True)
class PlaceOrder:
    """A customer wants something."""

    order: str
    customer: str
    article: str
    quantity: int

    def __post_init__(self) -> None:
        """Refuse, by ValueError, to order nothing or less."""
        if self.quantity < 1:
            raise ValueError(f"a quantity of {self.quantity}")


@dataclass(frozen=True)
class OrderPlaced:
    """The order stands."""

    order: str
    customer: str
    article: str
    quantity: int
    total: int


@dataclass(frozen=True)
class OrderRejected:
    """The order does not stand, and why."""

    order: str
    customer: str
    reason: str


Event = OrderPlaced | OrderRejected


@dataclass(frozen=True)
class Account:
    """What a customer has ordered so far."""

    orders: int = 0
    total: int = 0


def key(subject: PlaceOrder | Event) -> str:
    """Whose account it is about; what is about the same one is kept in order."""
    return subject.customer


def decide(command: PlaceOrder, account: Account) -> list[Event]:
    """
    What a command leads to.

    Raises:
        UnknownArticle: Nothing can be decided.
    """
    if command.article not in PRICES:
        raise UnknownArticle(command.article)
    total = PRICES[command.article] * command.quantity
    if account.total + total > LIMIT:
        left = LIMIT - account.total
        return [OrderRejected(command.order, command.customer, f"{left} left, {total} needed")]
    return [OrderPlaced(command.order, command.customer, command.article, command.quantity, total)]


def evolve(account: Account, event: Event) -> Account:
    """The account after an event."""
    if isinstance(event, OrderPlaced):
        return replace(account, orders=account.orders + 1, total=account.total + event.total)
    return account
