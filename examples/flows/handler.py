"""How a service handles commands when its database keeps them, and what they lead to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from examples.flows.ports import Conflict, Database
from examples.flows.service import Service
from examples.flows.steps import reached
from otelope import Envelope


class Handler:
    """The I/O of a service with its database."""

    def __init__(self, service: Service[Any, Any, Any], database: Database) -> None:
        self._service = service
        self._database = database

    def store(self, command: Envelope, cause: Envelope | None = None) -> Envelope:
        """
        Store a command, to be handled; the one that is stored.

        Args:
            command: As it came, or as a policy has just made it.
            cause: The event that a policy made it of. Each event leads to one command: when that
                is stored already, as of an event that comes again, it is the answer.

        Raises:
            Unreadable: It is none of the service's; nothing is stored.
        """
        self._service.key_of(command)  # what nobody can read is not stored
        stored = self._database.store(command, (cause or command).id)
        reached("db: store(command)")
        return stored

    def handle(self, command: Envelope) -> list[Envelope]:
        """
        Handle a command that is stored; the events that it has led to.

        One that was handled before leads to the same events, and nothing is stored.
        """
        key = self._service.key_of(command)
        while (events := self._database.events_of(command)) is None:
            before = self._database.state(key)
            reached("service: state")
            made, state = self._service.handle(command, before.value)
            reached("service: [event, new state]")
            with suppress(Conflict):  # somebody was faster: look again
                self._database.complete(command, made, before, state)
        return events
