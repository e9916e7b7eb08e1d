"""
The tables and views as they should be, read from ``sql/schema``, and the steps to them.

The files are for one engine. On a cluster each table stands on every server under its name with
``_local``, replicated within a shard, and a Distributed table under its own name sends rows to
the shard of their trace.
"""

from __future__ import annotations

import hashlib
import re

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from otelope.store import statements
from otelope.store.engine import identifier, quoted


# https://clickhouse.com/docs/engines/table-engines/mergetree-family/replication
# With names in the path, not with {uuid}, a server that is added later finds its replicas.
_REPLICA = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
# A trace stays together, so that a chain is one range on one shard; what has none goes anywhere.
_TRACE = {
    "otel_logs": "TraceId",
    "otel_traces": "TraceId",
    "envelopes": "trace_id",
    "deliveries": "trace_id",
}
_TABLE = re.compile(
    r"CREATE TABLE IF NOT EXISTS (?P<name>\w+)\n\((?P<columns>.*?)\n\)\n"
    r"ENGINE = (?P<engine>\w+)(?:\((?P<arguments>\w*)\))?\nORDER BY (?P<key>[^\n]*)"
    r"(?:\nSETTINGS (?P<settings>.*))?\Z",
    re.DOTALL,
)
_VIEW = re.compile(
    r"CREATE MATERIALIZED VIEW IF NOT EXISTS (?P<name>\w+) TO (?P<target>\w+) AS\n"
    r"(?P<select>.*)\Z",
    re.DOTALL,
)
_COLUMN = re.compile(r"`?(?P<name>[\w.]+)`? (?P<type>.*?)(?: (?:CODEC|DEFAULT)\b.*)?\Z")
_PART = re.compile(r"(?P<kind>INDEX|PROJECTION) (?P<name>\w+) ")


@dataclass(frozen=True)
class Layout:
    """
    Where tables stand, and how long their rows stay.

    Args:
        cluster: Its name in the servers' ``remote_servers``; empty for a single server.
        keep_days: For ``envelopes``, ``logs`` and ``traces`` the days, 0 for ever; what is not
            named keeps what it has.
    """

    cluster: str = ""
    keep_days: Mapping[str, int] = field(default_factory=dict)

    @property
    def on_cluster(self) -> str:
        """The clause of a statement."""
        return f"ON CLUSTER {identifier(self.cluster)}" if self.cluster else ""

    def local(self, table: str) -> str:
        """The name of the table that holds the rows."""
        return f"{table}_local" if self.cluster else table


@dataclass(frozen=True)
class Step:
    """A change: what it is for, and the statement."""

    title: str
    statement: str


@dataclass(frozen=True)
class Found:
    """A table or view as it is on a store."""

    kind: str
    key: str
    comment: str
    create: str
    columns: Mapping[str, str]


Existing = Mapping[str, Found]


@dataclass(frozen=True)
class Table:
    """A table as it should be; columns by name, each with its declaration."""

    name: str
    columns: Mapping[str, str]
    parts: Mapping[str, str]
    engine: str
    arguments: str
    key: str
    settings: str

    @classmethod
    def parsed(cls, match: re.Match[str]) -> Table:
        """From a statement of ``sql/schema``."""
        columns, parts = {}, {}
        for line in match["columns"].splitlines():
            declared = line.strip().rstrip(",")
            if part := _PART.match(declared):
                parts[part["name"]] = declared
            elif column := _COLUMN.match(declared):
                columns[column["name"]] = declared
        return cls(
            match["name"], columns, parts, match["engine"], match["arguments"] or "",
            match["key"], " ".join((match["settings"] or "").split()),
        )  # fmt: skip

    def types(self) -> dict[str, str]:
        """The type of each column."""
        found = {name: _COLUMN.match(declared) for name, declared in self.columns.items()}
        return {name: match["type"] for name, match in found.items() if match}

    def steps(self, layout: Layout, existing: Existing) -> Iterator[Step]:
        """What makes it out of what there is."""
        name = layout.local(self.name)
        found = existing.get(name)
        if found is None:
            yield Step(f"make table {name}", self._create(layout))
        else:
            yield from self._added(name, layout, found)
        if layout.cluster and self.name not in existing:
            yield Step(f"make distributed table {self.name}", self._distributed(layout))
        elif layout.cluster:
            yield from self._columns_added(self.name, layout, existing[self.name])

    def differences(self, layout: Layout, existing: Existing) -> Iterator[str]:
        """What is not as it should be."""
        name = layout.local(self.name)
        found = existing.get(name)
        if found is None:
            yield f"table {name} is missing"
            return
        engine = ("Replicated" if layout.cluster else "") + self.engine
        # ClickHouse Cloud replicates by itself.
        if found.kind not in (engine, f"Shared{self.engine}"):
            yield f"table {name} is a {found.kind} instead of a {engine}"
        if found.key != self.key.strip("()"):
            yield f"table {name} is ordered by ({found.key}) instead of {self.key}"
        if layout.cluster and self.name not in existing:
            yield f"distributed table {self.name} is missing"
        yield from self._column_differences(name, found)
        for part, declared in self.parts.items():
            if not _has_part(found, declared):
                yield f"table {name} lacks {declared.split()[0].lower()} {part}"

    def _column_differences(self, name: str, found: Found) -> Iterator[str]:
        for column, kind in self.types().items():
            is_there = found.columns.get(column)
            if is_there is None:
                yield f"table {name} lacks column {column} {kind}"
            elif is_there != kind:
                yield f"column {column} of table {name} is {is_there} instead of {kind}"

    def _create(self, layout: Layout) -> str:
        lines = ",\n".join(
            f"    {each}" for each in [*self.columns.values(), *self.parts.values()]
        )
        engine, arguments, settings = self.engine, self.arguments, self.settings
        if layout.cluster:
            engine = f"Replicated{engine}"
            arguments = ", ".join(filter(None, [_REPLICA, arguments]))
            settings = settings.replace("non_replicated_", "replicated_")
        return (
            f"CREATE TABLE IF NOT EXISTS {named(layout.local(self.name), layout)}\n(\n{lines}\n)\n"
            f"ENGINE = {engine}({arguments})\nORDER BY {self.key}"
            + (f"\nSETTINGS {settings}" if settings else "")
        )

    def _distributed(self, layout: Layout) -> str:
        trace = _TRACE.get(self.name)
        shard = f"if({trace} = '', rand64(), cityHash64({trace}))" if trace else "rand64()"
        return (
            f"CREATE TABLE IF NOT EXISTS {named(self.name, layout)} AS {layout.local(self.name)}\n"
            f"ENGINE = Distributed({quoted(layout.cluster)}, currentDatabase(), "
            f"{quoted(layout.local(self.name))}, {shard})"
        )

    def _added(self, name: str, layout: Layout, found: Found) -> Iterator[Step]:
        yield from self._columns_added(name, layout, found)
        for part, declared in self.parts.items():
            if not _has_part(found, declared):
                yield Step(
                    f"add {declared.split()[0].lower()} {part} to {name}",
                    f"ALTER TABLE {named(name, layout)} ADD {declared}",
                )

    def _columns_added(self, name: str, layout: Layout, found: Found) -> Iterator[Step]:
        for column, declared in self.columns.items():
            if column not in found.columns:
                yield Step(
                    f"add column {column} to {name}",
                    f"ALTER TABLE {named(name, layout)} ADD COLUMN IF NOT EXISTS {declared}",
                )


@dataclass(frozen=True)
class View:
    """A view as it should be: what it puts where."""

    name: str
    target: str
    select: str

    @classmethod
    def parsed(cls, match: re.Match[str]) -> View:
        """From a statement of ``sql/schema``."""
        return cls(match["name"], match["target"], match["select"])

    def steps(self, layout: Layout, existing: Existing) -> Iterator[Step]:
        """What makes it out of what there is."""
        select, comment = self._select(layout), quoted(self._comment(layout))
        name = named(self.name, layout)
        found = existing.get(self.name)
        if found is None:
            yield Step(
                f"make view {self.name}",
                f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} TO {layout.local(self.target)}\n"
                f"AS {select}\nCOMMENT {comment}",
            )
        elif found.comment != self._comment(layout):
            # Not dropped and made again: what came in between would be missing.
            yield Step(f"renew view {self.name}", f"ALTER TABLE {name} MODIFY QUERY\n{select}")
            yield Step(f"mark view {self.name}", f"ALTER TABLE {name} MODIFY COMMENT {comment}")

    def differences(self, layout: Layout, existing: Existing) -> Iterator[str]:
        """What is not as it should be."""
        found = existing.get(self.name)
        if found is None:
            yield f"view {self.name} is missing"
        elif found.comment != self._comment(layout):
            yield f"view {self.name} is not what this otelope makes"

    def _select(self, layout: Layout) -> str:
        return self.select.replace("FROM otel_logs", f"FROM {layout.local('otel_logs')}")

    def _comment(self, layout: Layout) -> str:
        digest = hashlib.sha256(self._select(layout).encode()).hexdigest()
        return f"otelope {digest[:16]}"


def wanted() -> list[Table | View]:
    """What should be there, in the order in which it can be made."""
    return [_parsed(statement) for statement in statements.schema()]


def named(name: str, layout: Layout) -> str:
    """A name as statements that change what it names have it."""
    return f"{name} {layout.on_cluster}".rstrip()


def _parsed(statement: str) -> Table | View:
    statement = re.sub(r"^--[^\n]*\n", "", statement, flags=re.MULTILINE)
    if table := _TABLE.match(statement):
        return Table.parsed(table)
    if view := _VIEW.match(statement):
        return View.parsed(view)
    raise ValueError(f"neither a table nor a view: {statement[:80]}")


def _has_part(found: Found, declared: str) -> bool:
    kind, name = declared.split()[:2]
    return f"{kind} {name} " in found.create
