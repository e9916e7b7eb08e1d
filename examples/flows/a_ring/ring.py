"""The IO ring around a service: it stores, asks, stores again, publishes."""

from __future__ import annotations

from typing import Any

from examples.flows.ports import Broker, Conflict, Database, Keyed
from examples.flows.service import Service
from examples.flows.steps import reached
from otelope import Envelope


class Ring:
    """The ring of a service."""

    def __init__(
        self, service: Service[Any, Any, Any], database: Database, broker: Broker
    ) -> None:
        self._service = service
        self._database = database
        self._broker = broker

    def handle(self, command: Envelope) -> list[Envelope]:
        """
        Handle a command; the events that it has led to.

        A command that was handled before leads to the same events. They are published again: that
        it is here again may mean that they never were.
        """
        key = self._service.key_of(command)
        self._database.store(command)
        reached("db: store(command)")
        while (events := self._database.events_of(command)) is None:
            self._decide(command, key)
        self._broker.publish(
            self._service.channel, [Keyed(key, event.to_json()) for event in events]
        )
        reached("broker: publish(event)")
        return events

    def _decide(self, command: Envelope, key: str) -> None:
        before = self._database.state(key)
        reached("service: command")
        events, state = self._service.handle(command, before.value)
        reached("ring: [event, new state]")
        try:
            self._database.complete(command, events, before, state)
        except Conflict:
            return  # somebody was faster: look again
        reached("db: store(event, state)")
