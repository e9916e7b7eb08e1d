"""The SQL of the store: one statement per file, attribute names from `otelope.model.semconv`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from string import Template

from otelope.model import semconv


SCHEMA_VERSION = 2

_SQL = files("otelope.store") / "sql"
_NAMES = {name: f"'{value}'" for name, value in vars(semconv).items() if name.isupper()}


def schema() -> list[str]:
    """The statements that make the tables and views, in the order of their numbers."""
    names = sorted(entry.name for entry in (_SQL / "schema").iterdir())
    return [_read("schema", name) for name in names if name.endswith(".sql")]


@cache
def query(question: str) -> str:
    """The statement that answers a question."""
    return _read("queries", f"{question}.sql")


@cache
def insert(table: str) -> str:
    """The statement that inserts into a table, up to its FORMAT."""
    return _read("inserts", f"{table}.sql")


def _read(folder: str, name: str) -> str:
    text = (_SQL / folder / name).read_text("utf-8")
    return Template(text).substitute(_NAMES).strip()
