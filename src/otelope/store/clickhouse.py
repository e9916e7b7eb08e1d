"""The store: takes blocks of rows, answers questions, in ClickHouse's SQL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from otelope.store import schema, statements
from otelope.store.embedded import EmbeddedEngine
from otelope.store.engine import COMMITTED, Engine, Parameter, literal, rows
from otelope.store.errors import CannotOpenError, StoreError
from otelope.store.layout import Layout
from otelope.store.remote import RemoteEngine
from otelope.store.server import Server


# The format in which columns have names and types, and are made what the table's are.
NAMED_ROWS = "Native"
# Rows of several inserters on a server may be committed out of the order of their clocks.
_HOLD_BACK_MS = 1000


class Store:
    """
    A store that is open.

    Args:
        engine: Where statements run.
        hold_back_ms: How long new rows stay out of the tail, so that none is overtaken there.
    """

    def __init__(self, engine: Engine, hold_back_ms: int = 0) -> None:
        self._engine = engine
        self.hold_back_ms = hold_back_ms

    @property
    def where(self) -> str:
        """As `Engine.where`."""
        return self._engine.where

    def ingest(self, table: str, data: bytes, token: str) -> None:
        """
        Insert rows and return when they and all that is derived from them are committed.

        Args:
            table: ``otel_logs`` or ``otel_traces``.
            data: Rows in the format RowBinary, columns as in the table's insert statement.
            token: The same for the same rows: what was committed once is not committed again.

        Raises:
            StoreError: Not all of it is committed; the same call may be made again.
        """
        settings: dict[str, str | int] = {
            "insert_deduplication_token": token,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
        }
        self._engine.write(statements.insert(table), data, COMMITTED | settings)

    def put(self, table: str, data: bytes) -> None:
        """
        Insert rows that a view should have made, and return when they are committed.

        Args:
            table: The view's target; in these a row that comes again changes nothing.
            data: Rows in the format `NAMED_ROWS`.

        Raises:
            StoreError: They may be committed or not; the same call may be made again.
        """
        self._engine.write(f"INSERT INTO {table}", data, COMMITTED, NAMED_ROWS)

    def ask(self, question: str, **parameters: Parameter) -> list[list[Any]]:
        """
        The rows that answer a question (a file in ``sql/queries``).

        Raises:
            StoreError: The engine refused, or is gone.
        """
        texts = {name: literal(value) for name, value in parameters.items()}
        return rows(self._engine.read(statements.query(question), texts))

    def rows(
        self, statement: str, parameters: Mapping[str, Parameter], form: str = "RowBinary"
    ) -> bytes:
        """
        What a statement selects, in the form in which another store takes it.

        Raises:
            StoreError: The engine refused, or is gone.
        """
        texts = {name: literal(value) for name, value in parameters.items()}
        return self._engine.read(statement, texts, form)

    def close(self) -> None:
        """Close the engine and let others open it."""
        self._engine.close()

    def __enter__(self) -> Store:  # noqa: PYI034 - Self is Python 3.11's
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(store: str | Server) -> Store:
    """
    Open a store. A directory gets its tables; a server has them from `otelope schema apply`.

    Args:
        store: ``chdb:///absolute/directory``, a directory's path, a ClickHouse server's address
            (see `Server.from_url`), or the server itself.

    Raises:
        CannotOpenError: With what to do about it.
    """
    if isinstance(store, Server):
        return _open_server(store)
    url = urlsplit(store)
    if url.scheme in ("http", "https"):
        return _open_server(Server.from_url(store))
    if url.scheme == "chdb":
        if url.netloc or not url.path.strip("/"):
            raise CannotOpenError(
                f"{store!r} names no directory: write chdb:///absolute/directory."
            )
        return _open_directory(Path(unquote(url.path)))
    if "://" in store:
        raise CannotOpenError(
            f"{url.scheme}:// is no store: use chdb:///directory, http://host:8123/database or a "
            "path."
        )
    return _open_directory(Path(store).expanduser().absolute())


def _open_server(server: Server) -> Store:
    engine = RemoteEngine(server)
    try:
        schema.check_version(engine)
    except StoreError as error:
        engine.close()
        raise _cannot_open(engine, error) from None
    return Store(engine, hold_back_ms=_HOLD_BACK_MS)


def _open_directory(directory: Path) -> Store:
    engine = EmbeddedEngine(directory)
    try:
        if schema.version(engine) != statements.SCHEMA_VERSION:
            for _ in schema.apply(engine, Layout(engine.database)):
                pass
        schema.number_rows(engine)
    except StoreError as error:
        engine.close()
        raise _cannot_open(engine, error) from None
    return Store(engine)


def _cannot_open(engine: Engine, error: StoreError) -> CannotOpenError:
    if isinstance(error, CannotOpenError):
        return error
    return CannotOpenError(f"The tables of the store in {engine.where} cannot be used: {error}")
