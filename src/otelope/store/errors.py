"""What can go wrong with a store, in words for the person who must act."""

from __future__ import annotations


class StoreError(Exception):
    """A statement failed; the store itself is open."""


class CannotOpenError(StoreError):
    """The store cannot be opened; the message says what to do."""


class NoTablesError(CannotOpenError):
    """A server has no tables of otelope's."""

    def __init__(self, where: str) -> None:
        super().__init__(
            f"There are no tables of otelope at {where}: make them with `otelope schema apply`, "
            "or name the right database with --clickhouse-database."
        )
