"""Shipping: what is ordered is shipped, each order once. No I/O, no ids, no clock."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class OrderPlaced:
    """What shipping needs to know of an order."""

    order: str
    customer: str


@dataclass(frozen=True)
class ShipOrder:
    """A parcel is to leave."""

    order: str
    customer: str


@dataclass(frozen=True)
class OrderShipped:
    """A parcel has left; *parcel* counts those of the customer."""

    order: str
    customer: str
    parcel: int


@dataclass(frozen=True)
class Parcels:
    """What was shipped to a customer."""

    shipped: int = 0


def key(subject: ShipOrder | OrderShipped) -> str:
    """To whom it goes; what goes to the same one is kept in order."""
    return subject.customer


def policy(event: OrderPlaced) -> ShipOrder:
    """What to do when an order stands."""
    return ShipOrder(event.order, event.customer)


def decide(command: ShipOrder, parcels: Parcels) -> list[OrderShipped]:
    """What a command leads to."""
    return [OrderShipped(command.order, command.customer, parcels.shipped + 1)]


def evolve(parcels: Parcels, event: OrderShipped) -> Parcels:
    """What was shipped, after an event."""
    return replace(parcels, shipped=event.parcel)
