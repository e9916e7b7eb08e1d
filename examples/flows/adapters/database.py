"""The database port by SQLAlchemy Core: SQLite by default, PostgreSQL by its URL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

import otelope

from examples.flows.adapters.tables import Tables, create
from examples.flows.messages import Unreadable
from examples.flows.ports import Conflict, Unavailable, Versioned
from examples.flows.steps import reached
from otelope import Envelope


class SqlDatabase:
    """
    A service's database.

    What is stored is told to otelope by `otelope.stored`, once, around the transaction that
    stores it.

    Args:
        url: As SQLAlchemy takes it.
        service: Whose it is; otelope knows it as ``SERVICE-db``.
        outbox: The channel of the events when a relay publishes them later: then each is also
            written into the outbox. None when they are published by whoever stores them.
    """

    def __init__(self, url: str, service: str, *, outbox: str | None = None) -> None:
        self.name = f"{service}-db"
        self.engine = sa.create_engine(url, pool_pre_ping=True)
        # SQLite has one database per file, so that each service has a file of its own.
        self.tables = Tables(service if self.engine.dialect.name == "postgresql" else None)
        self._outbox = outbox

    def create(self) -> None:
        """Make its tables, where they are missing."""
        create(self.engine, self.tables)

    def store(self, command: Envelope, key: str) -> Envelope:
        """See `Database.store`."""
        commands, messages = self.tables.commands, self.tables.messages
        with self._connect() as connection:
            try:
                # Before `stored`: whoever comes second stores nothing, and fails at nothing.
                connection.execute(sa.insert(commands), [{"key": key, "id": command.id}])
            except sa.exc.IntegrityError:
                connection.rollback()
                found = sa.select(messages.c.body).join(commands, commands.c.id == messages.c.id)
                body = connection.execute(found.where(commands.c.key == key)).scalar_one()
                return Envelope.from_dict(body)
            with otelope.stored(command, to=self.name):
                connection.execute(sa.insert(messages), [_row(command)])
                connection.commit()
        return command

    def state(self, key: str) -> Versioned:
        """See `Database.state`."""
        state = self.tables.state
        with self._connect() as connection:
            found = connection.execute(
                sa.select(state.c.value, state.c.version).where(state.c.key == key)
            ).first()
        return Versioned(key, *found) if found else Versioned(key, None, 0)

    def complete(
        self,
        command: Envelope,
        events: Sequence[Envelope],
        before: Versioned,
        value: dict[str, Any],
    ) -> None:
        """See `Database.complete`."""
        told = otelope.stored(*events, to=self.name, outbox=self._outbox is not None)
        try:
            with told, self._connect() as connection:
                self._replace(connection, before, value)
                connection.execute(sa.insert(self.tables.handled), [{"id": command.id}])
                for event in events:
                    connection.execute(sa.insert(self.tables.messages), [_row(event)])
                    if self._outbox is not None:
                        row = _outbox_row(event, self._outbox, before.key)
                        connection.execute(sa.insert(self.tables.outbox), [row])
                connection.commit()
        except sa.exc.IntegrityError as error:
            raise Conflict(before.key) from error
        reached(f"db: store(event, {'new state, outbox' if self._outbox else 'state'})")

    def append(self, event: Envelope, before: Versioned, value: dict[str, Any]) -> None:
        """See `Database.append`."""
        if self._has(event):
            return
        try:
            with otelope.stored(event, to=self.name), self._connect() as connection:
                self._replace(connection, before, value)
                connection.execute(sa.insert(self.tables.messages), [_row(event)])
                connection.commit()
        except sa.exc.IntegrityError as error:
            raise Conflict(before.key) from error

    def events_of(self, command: Envelope) -> list[Envelope] | None:
        """See `Database.events_of`."""
        handled, messages = self.tables.handled, self.tables.messages
        events = sa.select(messages.c.body).where(messages.c.parent_id == command.id)
        with self._connect() as connection:
            if not connection.execute(
                sa.select(handled).where(handled.c.id == command.id)
            ).first():
                return None
            bodies = connection.scalars(events.order_by(messages.c.position)).all()
        return [Envelope.from_dict(body) for body in bodies]

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        """A transaction, which is rolled back unless it is committed inside."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise Unavailable(f"{self.name}: {error.orig}") from error
        except sa.exc.DataError as error:
            raise Unreadable(f"{self.name}: {error.orig}") from error

    def _has(self, envelope: Envelope) -> bool:
        messages = self.tables.messages
        with self._connect() as connection:
            found = sa.select(messages.c.id).where(messages.c.id == envelope.id)
            return connection.execute(found).first() is not None

    def _replace(
        self, connection: sa.Connection, before: Versioned, value: dict[str, Any]
    ) -> None:
        # The first statement writes: so SQLite waits for its lock here, and not with a read done.
        state = self.tables.state
        if before.version == 0:
            row = {"key": before.key, "version": 1, "value": value}
            connection.execute(sa.insert(state), [row])
            return
        changed = connection.execute(
            sa.update(state)
            .where(state.c.key == before.key, state.c.version == before.version)
            .values(version=before.version + 1, value=value)
        )
        if changed.rowcount == 0:
            raise Conflict(before.key)


def _row(envelope: Envelope) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "type": envelope.type,
        "kind": envelope.kind,
        "parent_id": envelope.parent_id,
        "timestamp": envelope.timestamp,
        "body": envelope.to_dict(inside=True),
    }


def _outbox_row(event: Envelope, channel: str, key: str) -> dict[str, Any]:
    return {
        "id": event.id,
        "aggregatetype": channel,
        "aggregateid": key,
        "type": event.type,
        "payload": event.to_json().decode(),
    }
