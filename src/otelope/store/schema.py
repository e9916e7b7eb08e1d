"""The tables of a store: made, upgraded, compared with what they should be."""

from __future__ import annotations

import re

from collections.abc import Iterator
from typing import Any

import msgspec

from otelope.store import statements
from otelope.store.engine import Engine, identifier
from otelope.store.errors import CannotOpenError, NoTablesError, StoreError
from otelope.store.remote import RemoteEngine
from otelope.store.tables import Existing, Found, Layout, Step, named, wanted


# By arrival where it is known: what is old when it comes is kept as long as all else.
_AGES = {
    "envelopes": {
        "envelopes": "inserted", "deliveries": "inserted", "interactions": "hour",
        "contracts": "hour",
    },
    "logs": {"otel_logs": "Timestamp"},
    "traces": {"otel_traces": "Timestamp"},
}  # fmt: skip

_TTL = re.compile(r" TTL (\w+ \+ toIntervalDay\(\d+\))")

_decoder = msgspec.json.Decoder(list[Any])


def version(engine: Engine) -> int:
    """
    The newest schema that was ever applied; 0 where there are no tables of otelope's.

    Raises:
        StoreError: The engine cannot answer.
    """
    if "schema_version" not in _existing(engine):
        return 0
    return int(_rows(engine, statements.query("schema_version"))[0][0])


def check_version(engine: Engine) -> None:
    """
    See that the tables are those of this otelope.

    Raises:
        CannotOpenError: They are missing, older or newer.
    """
    found = version(engine)
    if found == 0:
        raise NoTablesError(engine.where)
    _refuse_newer(engine, found)
    if found < statements.SCHEMA_VERSION:
        raise CannotOpenError(
            f"The tables at {engine.where} are of an older otelope (schema {found}, this one "
            f"needs {statements.SCHEMA_VERSION}): upgrade them with `otelope schema apply`."
        )


def database_steps(engine: RemoteEngine, layout: Layout) -> list[Step]:
    """
    What must be done before `plan`, by `RemoteEngine.make_database`: nothing, or the database.

    Raises:
        StoreError: The engine cannot answer.
    """
    if engine.has_database():
        return []
    name = identifier(engine.database)
    statement = f"CREATE DATABASE IF NOT EXISTS {name} {layout.on_cluster}".rstrip()
    return [Step(f"make database {engine.database}", statement)]


def plan(engine: Engine, layout: Layout) -> list[Step]:
    """
    What `apply` would do: nothing where all is as it should be.

    Raises:
        CannotOpenError: A newer otelope was here.
        StoreError: What is there cannot be made what it should be, or the engine cannot answer.
    """
    found = version(engine)
    _refuse_newer(engine, found)
    existing = _existing(engine)
    _refuse_other_layout(layout, existing)
    steps = [step for each in wanted() for step in each.steps(layout, existing)]
    steps += _keeping(layout, existing)
    if found < statements.SCHEMA_VERSION:
        steps.append(
            Step(
                f"note schema version {statements.SCHEMA_VERSION}",
                f"{statements.insert('schema_version')} VALUES ({statements.SCHEMA_VERSION})",
            )
        )
    return steps


def apply(engine: Engine, layout: Layout) -> Iterator[Step]:
    """
    Make the tables what they should be, step by step; each is given before it is taken.

    It may be interrupted and run again. Raises as `plan`.
    """
    for step in plan(engine, layout):
        yield step
        engine.run(step.statement)


def differences(engine: Engine, layout: Layout) -> list[str]:
    """
    What is not as it should be, a line each; columns and tables of others are not looked at.

    Raises:
        StoreError: The engine cannot answer.
    """
    existing = _existing(engine)
    return [line for each in wanted() for line in each.differences(layout, existing)]


def cluster_of(engine: Engine) -> str:
    """The cluster on which the tables stand, by what they say themselves; empty for none."""
    found = _existing(engine).get("otel_logs")
    match = re.search(r"Distributed\('((?:[^'\\]|\\.)*)'", found.create) if found else None
    return match[1] if match else ""


def _refuse_newer(engine: Engine, found: int) -> None:
    if found > statements.SCHEMA_VERSION:
        raise CannotOpenError(
            f"The store in {engine.where} was written by a newer otelope (schema {found}, this "
            f"one knows {statements.SCHEMA_VERSION}): upgrade with pip install -U 'otelope[up]', "
            "or name another store."
        )


def _existing(engine: Engine) -> dict[str, Found]:
    columns: dict[str, dict[str, str]] = {}
    try:
        rows = _rows(engine, statements.query("existing_columns"))
    except NoTablesError:
        return {}  # not even the database
    for table, column, kind in rows:
        columns.setdefault(table, {})[column] = kind
    return {
        name: Found(kind, key, comment, create, columns.get(name, {}))
        for name, kind, key, comment, create in _rows(engine, statements.query("existing_tables"))
    }


def _refuse_other_layout(layout: Layout, existing: Existing) -> None:
    logs = existing.get("otel_logs")
    if logs and (logs.kind == "Distributed") != bool(layout.cluster):
        have, want = (
            ("of a cluster", "without") if not layout.cluster else ("of one server", "with")
        )
        raise StoreError(
            f"the tables are those {have}; use `otelope schema apply` {want} --cluster as before, "
            "or another database"
        )


def _keeping(layout: Layout, existing: Existing) -> Iterator[Step]:
    for what, days in layout.keep_days.items():
        for table, moment in _AGES[what].items():
            name = layout.local(table)
            found = _TTL.search(existing[name].create) if name in existing else None
            rule = f"{moment} + toIntervalDay({days})" if days else ""
            if (found[1] if found else "") == rule:
                continue
            change = f"MODIFY TTL {rule}" if rule else "REMOVE TTL"
            yield Step(
                f"keep rows of {name} " + (f"for {days} days" if days else "for ever"),
                f"ALTER TABLE {named(name, layout)} {change}",
            )


def _rows(engine: Engine, statement: str) -> list[list[Any]]:
    return [_decoder.decode(line) for line in engine.read(statement, {}).splitlines()]
