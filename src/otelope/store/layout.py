"""Where tables stand, how they are found to be, and the steps from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from otelope.store.engine import identifier


Spelling = Callable[[str], str]
"""How the engine writes a query down, on one line."""


@dataclass(frozen=True)
class Layout:
    """
    Where tables stand, and how long their rows stay.

    Args:
        database: Its name.
        cluster: Its name in the servers' ``remote_servers``; empty for a single server.
        keep_days: For ``envelopes``, ``logs`` and ``traces`` the days, 0 for ever; what is not
            named keeps what it has.
    """

    database: str
    cluster: str = ""
    keep_days: Mapping[str, int] = field(default_factory=dict)

    @property
    def on_cluster(self) -> str:
        """The clause of a statement, with the space before it."""
        return f" ON CLUSTER {identifier(self.cluster)}" if self.cluster else ""

    def local(self, table: str) -> str:
        """The name of the table that holds the rows."""
        return f"{table}_local" if self.cluster else table

    def full(self, name: str) -> str:
        """A name with its database."""
        return f"{identifier(self.database)}.{name}"

    def changed(self, name: str) -> str:
        """A name as statements that change what it names have it."""
        return self.full(name) + self.on_cluster


@dataclass(frozen=True)
class Step:
    """
    A change: what it is for, and the statement.

    Args:
        title: For who reads along.
        statement: In full.
        last: Whether it waits until all else is done.
    """

    title: str
    statement: str
    last: bool = False


class Column(NamedTuple):
    """A column; its default with the word before it, empty for none."""

    type: str
    default: str


@dataclass(frozen=True)
class Found:
    """
    A table or view as it is on a store.

    Args:
        kind: Its engine, and ``engine`` that with all that belongs to it.
        key: What it is ordered by.
        query: Of a view.
        create: The statement that makes it.
        columns: By name.
    """

    kind: str
    engine: str
    key: str
    query: str
    create: str
    columns: Mapping[str, Column]


Existing = Mapping[str, Found]
