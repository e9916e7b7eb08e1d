"""A service that stores what it takes and what comes of it."""

from __future__ import annotations

from typing import Any

from examples.flows.ports import Conflict, Database
from examples.flows.service import Service
from examples.flows.steps import reached
from otelope import Envelope


class StoringService:
    """A service with its database."""

    def __init__(self, service: Service[Any, Any, Any], database: Database) -> None:
        self._service = service
        self._database = database

    def handle(self, command: Envelope) -> list[Envelope]:
        """Handle a command, if that is still to be done; the events that it has led to."""
        reached("service: command")
        key = self._service.key_of(command)
        self._database.store(command)
        reached("db: store(command)")
        while (events := self._database.events_of(command)) is None:
            before = self._database.state(key)
            made, state = self._service.handle(command, before.value)
            try:
                self._database.complete(command, made, before, state)
            except Conflict:
                continue  # somebody was faster: look again
            reached("db: store(event, state)")
        return events
