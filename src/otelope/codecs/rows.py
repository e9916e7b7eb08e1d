"""Rows of a database: an envelope in one value, or in columns named as its fields."""

from __future__ import annotations

import re

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from otelope.codecs.names import Names
from otelope.codecs.payloads import PAYLOADS, json_or_bytes


# Fewer would be those of any tree: its nodes have an id, a type, a time and a parent.
_REQUIRED = ("id", "type", "timestamp", "parentId", "source")
_CAPITAL = re.compile("(?<!^)(?=[A-Z])")


class Rows:
    """
    Says what of a row may be an envelope; whether it is one, the codecs of messages say.

    Args:
        names: Columns have these names, or the same in snake case; what stands deeper in JSON is
            no column.
    """

    def __init__(self, names: Names) -> None:
        paths = {field: path[0] for field, path in names.paths.items() if len(path) == 1}
        columns = {name: name for name in paths.values()}
        columns.update({_snake(name): name for name in paths.values()})
        if names.payload is None:
            columns.update({name: name for name in PAYLOADS})
        elif len(names.payload) == 1:
            columns[names.payload[0]] = names.payload[0]
        self._columns = columns
        self._required = {paths.get(field) for field in _REQUIRED}
        self._id = paths.get("id", "")
        parent = paths.get("parentId")
        self._parents = {column for column, name in columns.items() if name == parent}
        self._source = paths.get("source")
        self._metadata = set(paths.values())

    def candidates(self, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> list[Any]:
        """Text, bytes or plain data, each of which may be an envelope; no row is changed."""
        found: list[Any] = []
        for row in rows:
            # `isinstance(…, Mapping)` alone takes 0.3 µs.
            columns = row if type(row) is dict or isinstance(row, Mapping) else None
            for value in row if columns is None else columns.values():
                kind = type(value)
                if kind is str:
                    if value[:1] == "{":
                        found.append(value)
                elif kind is dict or (kind is bytes and value[:1] == b"{"):
                    found.append(value)
            if columns is not None and not self._parents.isdisjoint(columns):
                wire = self._wire(columns)
                if wire is not None:
                    found.append(wire)
        return found

    def _wire(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """The columns as a message spells them; None for those of no envelope."""
        wire = {name: row[column] for column, name in self._columns.items() if column in row}
        if self._source is not None and "source_name" in row:
            wire[self._source] = {"name": row["source_name"], "version": row.get("source_version")}
        # Numbers are the keys of any table.
        if not self._required <= wire.keys() or not isinstance(wire[self._id], str | UUID):
            return None
        return {
            name: value if name in self._metadata else _plain(value)
            for name, value in wire.items()
        }


def _snake(name: str) -> str:
    return _CAPITAL.sub("_", name).lower()


def _plain(payload: Any) -> Any:
    """The value of a payload that stands in its column as JSON."""
    raw = payload.encode() if isinstance(payload, str) else payload
    value = json_or_bytes(raw) if isinstance(raw, bytes) else payload
    return payload if value is raw else value
