"""How a service handles commands when the broker is all it has."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from examples.flows.messages import Unreadable, read
from examples.flows.ports import Broker, Keyed
from examples.flows.service import Service
from examples.flows.steps import reached
from otelope import Envelope


class Handler:
    """
    A service at the broker.

    What it knows, its state and what it has answered, follows from what it has said; so it reads
    that from the broker when it starts.

    Args:
        service: The service.
        broker: Where it publishes.
        said: What its channels have, each key's in order; what is unreadable there was never said.
    """

    def __init__(
        self, service: Service[Any, Any, Any], broker: Broker, said: Iterable[bytes]
    ) -> None:
        self._service = service
        self._broker = broker
        self._states: dict[str, dict[str, Any]] = {}
        self._answered: set[str | None] = set()
        for message in said:
            with suppress(Unreadable):
                self._note(read(message))

    def answered(self, cause: Envelope) -> bool:
        """Whether it was handled before: then all that it led to is at the broker."""
        return cause.id in self._answered

    def handle(self, command: Envelope) -> None:
        """Handle a command: publish what it leads to, unless that was done before."""
        key = self._service.key_of(command)
        if self.answered(command):
            return
        events, _ = self._service.handle(command, self._states.get(key))
        self.publish(self._service.channel, key, events)
        reached("broker: publish(event)")

    def publish(self, channel: str, key: str, envelopes: Iterable[Envelope]) -> None:
        """Say something, and remember it."""
        said = list(envelopes)
        self._broker.publish(channel, [Keyed(key, envelope.to_json()) for envelope in said])
        for envelope in said:
            self._note(envelope)

    def _note(self, said: Envelope) -> None:
        if not self._service.takes(said):
            key = self._service.key_of_event(said)
            self._states[key] = self._service.state_after(said, self._states.get(key))
        self._answered.add(said.parent_id)
