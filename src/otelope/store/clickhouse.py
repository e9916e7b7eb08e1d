"""The store: takes blocks of rows, answers questions, in ClickHouse's SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from otelope.store import statements
from otelope.store.embedded import EmbeddedEngine
from otelope.store.engine import Engine, Parameter, literal
from otelope.store.errors import CannotOpenError, StoreError
from otelope.store.remote import RemoteEngine


_decoder = msgspec.json.Decoder(list[Any])

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
        try:
            self._prepare()
        except CannotOpenError:
            engine.close()
            raise
        except StoreError as error:
            engine.close()
            raise CannotOpenError(f"The tables of the store cannot be made: {error}") from None

    def ingest(self, table: str, rows: bytes, token: str) -> None:
        """
        Insert rows and return when they and all that is derived from them are committed.

        Args:
            table: ``otel_logs`` or ``otel_traces``.
            rows: In the format RowBinary, columns as in the table's insert statement.
            token: The same for the same rows: what was committed once is not committed again.

        Raises:
            StoreError: Not all of it is committed; the same call may be made again.
        """
        settings: dict[str, str | int] = {
            "insert_deduplication_token": token,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
        }
        self._engine.write(statements.insert(table), rows, settings)

    def ask(self, question: str, **parameters: Parameter) -> list[list[Any]]:
        """
        The rows that answer a question (a file in ``sql/queries``).

        Raises:
            StoreError: The engine refused, or is gone.
        """
        texts = {name: literal(value) for name, value in parameters.items()}
        answer = self._engine.read(statements.query(question), texts)
        return [_decoder.decode(line) for line in answer.splitlines()]

    def close(self) -> None:
        """Close the engine and let others open it."""
        self._engine.close()

    def __enter__(self) -> Store:  # noqa: PYI034 - Self is Python 3.11's
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        tables = self._engine.read("SHOW TABLES LIKE 'schema_version'", {})
        found = self.ask("schema_version")[0][0] if tables else 0
        if found > statements.SCHEMA_VERSION:
            raise CannotOpenError(
                f"The store was written by a newer otelope (schema {found}, this one knows "
                f"{statements.SCHEMA_VERSION}): upgrade with pip install -U 'otelope[up]', or "
                "choose another directory with --data."
            )
        if found == statements.SCHEMA_VERSION:
            return
        for statement in statements.schema():
            self._engine.run(statement)
        version = statements.SCHEMA_VERSION.to_bytes(4, "little")
        self._engine.write(statements.insert("schema_version"), version, {})


def open_store(dsn: str) -> Store:
    """
    Open the store that a DSN names.

    Args:
        dsn: ``chdb:///absolute/directory``, a directory's path, or
            ``http[s]://user:password@host:port/database`` of a ClickHouse server.

    Raises:
        CannotOpenError: With what to do about it.
    """
    url = urlsplit(dsn)
    if url.scheme in ("http", "https"):
        return Store(RemoteEngine(url), hold_back_ms=_HOLD_BACK_MS)
    if url.scheme == "chdb":
        if url.netloc or not url.path.strip("/"):
            raise CannotOpenError(f"{dsn!r} names no directory: write chdb:///absolute/directory.")
        return Store(EmbeddedEngine(Path(unquote(url.path))))
    if "://" in dsn:
        raise CannotOpenError(
            f"{dsn!r} is no store: use chdb:///directory, http://host:8123/database or a path."
        )
    return Store(EmbeddedEngine(Path(dsn).expanduser().absolute()))
