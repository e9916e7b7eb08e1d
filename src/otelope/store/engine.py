"""What the store needs of a ClickHouse engine, embedded or over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec


Parameter = str | int | Sequence[str]

# Of every insert. Asynchronous ones, the default since 26.2, have no token of their own; a
# Distributed table answers, by default, before its shards have the rows.
COMMITTED: dict[str, str | int] = {"async_insert": 0, "distributed_foreground_insert": 1}

_decoder = msgspec.json.Decoder(list[Any])


class Engine(Protocol):
    """
    Runs statements. Every method may be called from any thread.

    Failures are `otelope.store.errors.StoreError`.
    """

    @property
    def where(self) -> str:
        """The directory, or the server's address without its password."""
        ...

    @property
    def database(self) -> str:
        """The database that questions are asked of, and rows inserted into."""
        ...

    def run(self, statement: str) -> None:
        """Run a statement that answers nothing; it names its database, which may be missing."""
        ...

    def read(
        self, statement: str, parameters: Mapping[str, str], form: str = "JSONCompactEachRow"
    ) -> bytes:
        """
        Run a question.

        Args:
            statement: With ``{name:Type}`` placeholders.
            parameters: For these, as `literal` writes them.
            form: ClickHouse's name of the answer's format; one JSON array per line, per row.
        """
        ...

    def write(
        self,
        statement: str,
        rows: bytes,
        settings: Mapping[str, str | int],
        form: str = "RowBinary",
    ) -> None:
        """
        Insert rows; returns when they are committed.

        Args:
            statement: The insert, up to its columns.
            rows: At most a million: more are not committed as one.
            settings: For this statement.
            form: ClickHouse's name of the rows' format.
        """
        ...

    def close(self) -> None:
        """Release what is open; later calls fail."""
        ...


def rows(answer: bytes) -> list[list[Any]]:
    """An answer in the format JSONCompactEachRow; what is no UTF-8 in it becomes U+FFFD."""
    return [_row(line) for line in answer.splitlines()]


def _row(line: bytes) -> list[Any]:
    try:
        return _decoder.decode(line)
    except UnicodeDecodeError:
        # A ClickHouse String is any bytes, and other senders' texts may be.
        return _decoder.decode(line.decode("utf-8", "replace"))


def literal(value: Parameter) -> str:
    """A parameter in the text form that ClickHouse reads for its ``{name:Type}`` placeholders."""
    if isinstance(value, str):
        return _escaped(value)
    if isinstance(value, int):
        return str(int(value))
    return "[" + ",".join(map(quoted, value)) + "]"


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return text.replace("\r", "\\r").replace("\0", "\\0")


def quoted(text: str) -> str:
    """Text as a string of ClickHouse's SQL."""
    return "'" + _escaped(text).replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """A name of a database or a table in ClickHouse's SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def clause(settings: Mapping[str, str | int]) -> str:
    """Settings as the clause of an insert; nothing when there are none."""
    pairs = (
        f"{name} = {value if isinstance(value, int) else quoted(value)}"
        for name, value in settings.items()
    )
    return "SETTINGS " + ", ".join(pairs) if settings else ""
