"""The schema of a store: its tables and views made, upgraded, compared with ``sql/schema``."""

from __future__ import annotations

import re

from collections.abc import Iterator, Mapping
from typing import Any

from otelope.store import statements
from otelope.store.engine import COMMITTED, Engine, Parameter, clause, identifier, literal, rows
from otelope.store.errors import CannotOpenError, NoTablesError, StoreError
from otelope.store.layout import Column, Existing, Found, Layout, Spelling, Step
from otelope.store.tables import Table
from otelope.store.views import View


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
_DISTRIBUTED = re.compile(r"Distributed\('((?:[^'\\]|\\.)*)'")
_COMMENT = re.compile(r"^--[^\n]*\n", re.MULTILINE)


def version(engine: Engine) -> int:
    """
    The newest schema that was ever applied; 0 where there are no tables of otelope's.

    Raises:
        StoreError: The engine cannot answer.
    """
    return _version(engine, _existing(engine))


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


def plan(engine: Engine, layout: Layout) -> list[Step]:
    """
    What `apply` would do: nothing where all is as it should be.

    Raises:
        CannotOpenError: A newer otelope was here.
        StoreError: What is there cannot be made what it should be, or the engine cannot answer.
    """
    existing = _existing(engine)
    found = _version(engine, existing)
    _refuse_newer(engine, found)
    _refuse_other_layout(layout, existing or {})
    steps = []
    if existing is None:
        make = f"CREATE DATABASE IF NOT EXISTS {identifier(layout.database)}{layout.on_cluster}"
        steps.append(Step(f"make database {layout.database}", make))
    existing = existing or {}
    wanted = _wanted()
    spelt = _spelling(engine, wanted, layout) if existing else str
    changes = [step for each in wanted for step in each.steps(layout, existing, spelt)]
    steps += sorted(changes, key=lambda step: step.last)
    steps += _keeping(layout, existing)
    if found < statements.SCHEMA_VERSION:
        steps.append(_note(layout))
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
        StoreError: The engine cannot answer, or the tables are those of another layout.
    """
    existing = _existing(engine) or {}
    _refuse_other_layout(layout, existing)
    wanted = _wanted()
    spelt = _spelling(engine, wanted, layout)
    return [line for each in wanted for line in each.differences(layout, existing, spelt)]


def cluster_of(engine: Engine) -> str:
    """The cluster on which the tables stand, by what they say themselves; empty for none."""
    return _cluster(_existing(engine) or {})


def views() -> list[View]:
    """What is made of log records, and where it is put."""
    return [each for each in _wanted() if isinstance(each, View)]


def _wanted() -> list[Table | View]:
    """What should be there, in the order in which it can be made."""
    return [_parsed(_COMMENT.sub("", statement)) for statement in statements.schema()]


def _parsed(statement: str) -> Table | View:
    found = Table.parsed(statement) or View.parsed(statement)
    if found is None:
        raise ValueError(f"neither a table nor a view: {statement[:80]}")
    return found


def _version(engine: Engine, existing: Existing | None) -> int:
    if not existing or "schema_version" not in existing:
        return 0
    return int(_rows(engine, "schema_version")[0][0])


def number_rows(engine: Engine) -> None:
    """
    Let log records and spans keep their place: their insert's number, and where they stood in it.

    By it a push knows what is new; the order of the tables is another.

    Raises:
        StoreError: The engine cannot.
    """
    # 0.1 % of what log records take on disk (1 M in 400 inserts), 10 % of what spans take.
    for (table,) in _rows(engine, "unnumbered"):
        engine.run(
            f"ALTER TABLE {identifier(table)} MODIFY SETTING "
            "enable_block_number_column = 1, enable_block_offset_column = 1"
        )


def _refuse_newer(engine: Engine, found: int) -> None:
    if found > statements.SCHEMA_VERSION:
        raise CannotOpenError(
            f"The store in {engine.where} was written by a newer otelope (schema {found}, this "
            f"one knows {statements.SCHEMA_VERSION}): upgrade with pip install -U 'otelope[up]', "
            "or name another store."
        )


def _existing(engine: Engine) -> Existing | None:
    """What is in the database; None when that is missing itself."""
    columns: dict[str, dict[str, Column]] = {}
    try:
        found = _rows(engine, "existing_columns")
    except NoTablesError:
        return None
    for table, column, kind, default_kind, default in found:
        columns.setdefault(table, {})[column] = Column(kind, f"{default_kind} {default}".strip())
    return {
        name: Found(kind, whole, key, query, create, columns.get(name, {}))
        for name, kind, whole, key, query, create in _rows(engine, "existing_tables")
    }


def _spelling(engine: Engine, wanted: list[Table | View], layout: Layout) -> Spelling:
    # What is there is told as the engine writes it down, so what should be there is as well.
    queries = list({query: None for each in wanted for query in each.queries(layout)})
    spelt = [spelt for (spelt,) in _rows(engine, "spelling", queries=queries)]
    return dict(zip(queries, spelt, strict=True)).__getitem__


def _cluster(existing: Existing) -> str:
    logs = existing.get("otel_logs")
    match = _DISTRIBUTED.match(logs.engine) if logs else None
    return match[1] if match else ""


def _refuse_other_layout(layout: Layout, existing: Existing) -> None:
    there = _cluster(existing)
    # Without its Distributed table: somebody was interrupted.
    local = "otel_logs_local" in existing
    if local if not layout.cluster else "otel_logs" in existing and there != layout.cluster:
        whose, what = (
            (f"those of a cluster, {there or 'begun'}", f"say --cluster {there or 'NAME'}")
            if local
            else ("those of one server", "leave --cluster out")
        )
        raise StoreError(f"the tables are {whose}: {what}, or name another database")


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
                f"ALTER TABLE {layout.changed(name)} {change}",
            )


def _note(layout: Layout) -> Step:
    # Asked for right afterwards: it must not wait in a queue of the server's.
    settings = clause(COMMITTED)
    number = statements.SCHEMA_VERSION
    insert = f"INSERT INTO {layout.full('schema_version')} (version)"
    return Step(f"note schema version {number}", f"{insert} {settings} VALUES ({number})")


def _rows(engine: Engine, question: str, **parameters: Parameter) -> list[list[Any]]:
    texts: Mapping[str, str] = {name: literal(value) for name, value in parameters.items()}
    return rows(engine.read(statements.query(question), texts))
