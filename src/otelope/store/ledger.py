"""What of a data directory is on a server: noted in the directory before and after every block."""

from __future__ import annotations

import os

from pathlib import Path

import msgspec

from otelope.store.blocks import Place, Window
from otelope.store.errors import StoreError


Cursor = list[int | str]


class Block(msgspec.Struct):
    """
    A block that may be on the server or not.

    Args:
        last: The cursor of its last row.
        rows: How many it has.
        sent: When it was first sent, in Unix seconds.
    """

    last: Cursor
    rows: int
    sent: float


class Copied(msgspec.Struct):
    """
    How much of a table is on the server.

    Args:
        place: All rows before it are.
        rows: How many those are.
        window: What comes next; None when that is still to be found out.
        after: In the window the rows up to this cursor are there as well; None for none.
        rows_after: How many those are.
        block: What follows them, while it is not known whether it is there.
    """

    place: Place = Place(1, 0)
    rows: int = 0
    window: Window | None = None
    after: Cursor | None = None
    rows_after: int = 0
    block: Block | None = None


class _Page(msgspec.Struct):
    """A ledger as it is in its file."""

    source: str
    where: str
    tables: dict[str, Copied]


class Ledger:
    """
    How much of a data directory is on a server.

    Args:
        directory: Where the ledgers of the data directory are.
        source: What tells the store of the data directory from all others.
        target: What tells the server's database from all others.
        where: The server's address, for who reads the file.

    Raises:
        StoreError: There is one, and it cannot be read.
    """

    def __init__(self, directory: Path, source: str, target: str, where: str) -> None:
        self.path = directory / f"{target}.json"
        self._page = _Page(source, where, {})
        try:
            page = msgspec.json.decode(self.path.read_bytes(), type=_Page)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise StoreError(
                f"{self.path}, which says what is copied already, cannot be read ({why}): mend "
                "it, or remove it to copy all again"
            ) from None
        # Else the store was made anew in the same directory.
        if page.source == source:
            self._page.tables = page.tables

    def of(self, table: str) -> Copied:
        """How much of a table; what is changed in it counts from the next `save` on."""
        return self._page.tables.setdefault(table, Copied())

    def save(self) -> None:
        """
        Write it to disk; afterwards it is there even if the power fails.

        Raises:
            StoreError: It cannot be written, and is as it was.
        """
        fresh = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(exist_ok=True)
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(self._page))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            directory = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be written ({error.strerror}): make it writable, or free "
                "some space"
            ) from None
