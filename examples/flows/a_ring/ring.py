"""The IO ring around a service: it stores, asks, stores again, publishes."""

from __future__ import annotations

from typing import Any

from examples.flows.handler import Handler
from examples.flows.ports import Broker, Database, Keyed
from examples.flows.service import Service
from examples.flows.steps import reached
from otelope import Envelope


class Ring(Handler):
    """The ring of a service: it handles commands with a database, and publishes."""

    def __init__(
        self, service: Service[Any, Any, Any], database: Database, broker: Broker
    ) -> None:
        super().__init__(service, database)
        self._broker = broker

    def handle(self, command: Envelope) -> list[Envelope]:
        """
        See `Handler.handle`; then the events are published.

        Also those of a command that was handled before: that it is here again may mean that they
        never were.
        """
        events = super().handle(command)
        key = self._service.key_of(command)
        self._broker.publish(
            self._service.channel, [Keyed(key, event.to_json()) for event in events]
        )
        reached("broker: publish(event)")
        return events
