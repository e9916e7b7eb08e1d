"""The two services: envelopes in, envelopes out, and the pure domain between. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import otelope

from examples.flows.domain import orders, shipping
from examples.flows.messages import Dataclass, Unreadable, envelope_of, subject_of
from otelope import Envelope


Command = TypeVar("Command", bound=Dataclass)
State = TypeVar("State", bound=Dataclass)
Event = TypeVar("Event", bound=Dataclass)


@dataclass(frozen=True)
class Service(Generic[Command, State, Event]):
    """
    A service of the shop.

    Args:
        channel: Where its events go.
        command: What it takes.
        events: What it tells.
        state: What it remembers per key; made without arguments, it is the first one.
        key: Of a command or an event.
        decide: Command and state → events.
        evolve: State and event → state.
    """

    channel: str
    command: type[Command]
    events: tuple[type[Event], ...]
    state: type[State]
    key: Callable[[Command | Event], str]
    decide: Callable[[Command, State], list[Event]]
    evolve: Callable[[State, Event], State]

    def key_of(self, command: Envelope) -> str:
        """
        What a command is about: its state's key, and that of the messages on a broker.

        Raises:
            Unreadable: It is not what the service takes; so for all that is handed over here.
        """
        return self.key(subject_of(command, self.command))

    def handle(
        self, command: Envelope, state: dict[str, Any] | None
    ) -> tuple[list[Envelope], dict[str, Any]]:
        """
        What a command leads to: events, and the new state.

        Args:
            command: Of the type it takes.
            state: As it was returned the last time for this key; None at first.
        """
        current = self.state(**state or {})
        events = self.decide(subject_of(command, self.command), current)
        for event in events:
            current = self.evolve(current, event)
        return [envelope_of(event, "event", command) for event in events], asdict(current)

    def takes(self, message: Envelope) -> bool:
        """Whether it is of the type of its command."""
        return message.type == self.command.__name__

    def tells(self, message: Envelope) -> bool:
        """Whether it is of the type of one of its events."""
        return message.type in [event.__name__ for event in self.events]

    def key_of_event(self, event: Envelope) -> str:
        """What one of its events is about."""
        return self.key(self._subject_of(event))

    def state_after(self, event: Envelope, state: dict[str, Any] | None) -> dict[str, Any]:
        """The new state, for whoever only hears of the event; else as `handle`."""
        return asdict(self.evolve(self.state(**state or {}), self._subject_of(event)))

    def _subject_of(self, event: Envelope) -> Event:
        for known in self.events:
            if known.__name__ == event.type:
                return subject_of(event, known)
        raise Unreadable(f"a {event.type} is none of {self.channel}")


ORDERS = Service[orders.PlaceOrder, orders.Account, orders.Event](
    "orders.events",
    orders.PlaceOrder,
    (orders.OrderPlaced, orders.OrderRejected),
    orders.Account,
    orders.key,
    orders.decide,
    orders.evolve,
)
SHIPPING = Service(
    "shipping.events",
    shipping.ShipOrder,
    (shipping.OrderShipped,),
    shipping.Parcels,
    shipping.key,
    shipping.decide,
    shipping.evolve,
)


def declare_contracts() -> None:
    """Let only that out of an `OrderPlaced` which shipping needs; the rest stays inside."""
    otelope.contract("OrderPlaced", shipping.OrderPlaced)


def shipment_of(placed: Envelope) -> Envelope:
    """The policy of shipping: the command that an `OrderPlaced` leads to."""
    return envelope_of(
        shipping.policy(subject_of(placed, shipping.OrderPlaced)), "command", placed
    )
