"""How a service handles a command when a relay publishes its events later."""

from __future__ import annotations

from typing import Any

from examples.flows.ports import Conflict, Database
from examples.flows.service import Service
from examples.flows.steps import reached
from otelope import Envelope


class Handler:
    """The I/O of a service, all of it with its database."""

    def __init__(self, service: Service[Any, Any, Any], database: Database) -> None:
        self._service = service
        self._database = database

    def handle(self, command: Envelope) -> list[Envelope]:
        """
        Handle a command; the events that it has led to.

        A command that was handled before leads to the same events; they are in the outbox, or
        were, so nothing else is to be done.
        """
        reached("service: command")
        key = self._service.key_of(command)
        self._database.store(command)
        reached("db: store(command)")
        while (events := self._database.events_of(command)) is None:
            self._decide(command, key)
        return events

    def _decide(self, command: Envelope, key: str) -> None:
        before = self._database.state(key)
        reached("service: state")
        events, state = self._service.handle(command, before.value)
        try:
            self._database.complete(command, events, before, state)
        except Conflict:
            return  # somebody was faster: look again
        reached("db: store(event, new state, outbox)")
