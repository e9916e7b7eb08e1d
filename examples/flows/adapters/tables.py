"""The tables of a service, SQLAlchemy Core: SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    text,
)
from sqlalchemy.engine import Engine
from sqlalchemy.schema import CreateSchema


# SQLite counts up only what is its INTEGER PRIMARY KEY.
_Position = BigInteger().with_variant(Integer, "sqlite")


class Tables:
    """
    The tables; on PostgreSQL in a schema named as the service.

    Attributes:
        messages: Commands and events, each once, as whole envelopes, in the order of storing.
        state: The latest state per key; *version* counts its changes.
        commands: The id of the command of each key, so that there is one: its own id, or that of
            the event that led to it.
        handled: The ids of the commands that were handled.
        outbox: Events that a relay is to publish, with the columns that Debezium's outbox has.
    """

    def __init__(self, schema: str | None) -> None:
        self.metadata = MetaData(schema=schema)
        self.messages = Table(
            "messages",
            self.metadata,
            Column("position", _Position, primary_key=True, autoincrement=True),
            Column("id", String, nullable=False, unique=True),
            Column("type", String, nullable=False),
            Column("kind", String, nullable=False),
            Column("parent_id", String, index=True),
            Column("timestamp", BigInteger, nullable=False),
            Column("body", JSON, nullable=False),
        )
        self.state = Table(
            "state",
            self.metadata,
            Column("key", String, primary_key=True),
            Column("version", Integer, nullable=False),
            Column("value", JSON, nullable=False),
        )
        self.commands = Table(
            "commands",
            self.metadata,
            Column("key", String, primary_key=True),
            Column("id", String, nullable=False),
        )
        self.handled = Table("handled", self.metadata, Column("id", String, primary_key=True))
        self.outbox = Table(
            "outbox",
            self.metadata,
            Column("position", _Position, primary_key=True, autoincrement=True),
            Column("id", String, nullable=False, unique=True),
            Column("aggregatetype", String, nullable=False),
            Column("aggregateid", String, nullable=False),
            Column("type", String, nullable=False),
            Column("payload", String, nullable=False),
            Index(f"{schema or 'main'}_outbox_by_key", "aggregateid", "position"),
        )


def create(engine: Engine, tables: Tables) -> None:
    """Make what is missing. To be called before the service's processes start, not by them."""
    with engine.begin() as connection:
        if tables.metadata.schema is not None:
            connection.execute(CreateSchema(tables.metadata.schema, if_not_exists=True))
        elif engine.dialect.name == "sqlite":
            # Readers and the writer do not wait for each other.
            connection.execute(text("PRAGMA journal_mode=WAL"))
        tables.metadata.create_all(connection)
