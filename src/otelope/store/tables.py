"""
The tables as they should be, and the steps to them.

The files are for one engine. On a cluster each table stands on every server under its name with
``_local``, replicated within a shard, and a Distributed table under its own name sends rows to
the shard of their trace. Names have their database: a cluster may give its servers other defaults.
"""

from __future__ import annotations

import re

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from otelope.store.engine import quoted
from otelope.store.layout import Column, Existing, Found, Layout, Spelling, Step


# https://clickhouse.com/docs/engines/table-engines/mergetree-family/replication
# With names in the path, not with {uuid}, a server that is added later finds its replicas.
_REPLICA = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
# A trace stays together, so that a chain is one range on one shard. What has none goes where its
# content says, not anywhere: a block that is sent again must fall into the same pieces, as each
# shard leaves out the piece that it knows by the block's token.
_SHARD = {
    "otel_logs": "if(TraceId = '', cityHash64(ServiceName, Timestamp, Body), cityHash64(TraceId))",
    "otel_traces": "cityHash64(TraceId)",
    "envelopes": "cityHash64(trace_id)",
    "deliveries": "cityHash64(trace_id)",
}
# What views read takes no rows before they are there: what came in between, from a collector that
# was waiting for its table, they would never see.
_READ_BY_VIEWS = "otel_logs"
_CLOSED = "CONSTRAINT views_are_missing CHECK 0"
_TABLE = re.compile(
    r"CREATE TABLE IF NOT EXISTS (?P<name>\w+)\n\((?P<columns>.*?)\n\)\n"
    r"ENGINE = (?P<engine>\w+)(?:\((?P<arguments>\w*)\))?\nORDER BY (?P<key>[^\n]*)"
    r"(?:\nSETTINGS (?P<settings>.*))?\Z",
    re.DOTALL,
)
_COLUMN = re.compile(
    r"`?(?P<name>[\w.]+)`? (?P<type>.*?)(?: DEFAULT (?P<default>.*?))?(?: CODEC\b.*)?\Z", re.DOTALL
)
_PART = re.compile(r"(?P<kind>INDEX|PROJECTION) (?P<name>\w+) ")


class _Declared(NamedTuple):
    """A column's declaration, and what of it is compared."""

    text: str
    type: str
    default: str


@dataclass(frozen=True)
class Table:
    """A table as it should be; columns, indexes and projections by name."""

    name: str
    columns: Mapping[str, _Declared]
    parts: Mapping[str, str]
    engine: str
    arguments: str
    key: str
    settings: str

    @classmethod
    def parsed(cls, statement: str) -> Table | None:
        """From a statement of ``sql/schema`` without its comment; None when it makes none."""
        match = _TABLE.match(statement)
        if match is None:
            return None
        columns, parts = {}, {}
        for text in _declarations(match["columns"]):
            if part := _PART.match(text):
                parts[part["name"]] = text
            elif column := _COLUMN.match(text):
                columns[column["name"]] = _Declared(text, column["type"], column["default"] or "")
        return cls(
            match["name"], columns, parts, match["engine"], match["arguments"] or "",
            match["key"], " ".join((match["settings"] or "").split()),
        )  # fmt: skip

    def queries(self, layout: Layout) -> Iterator[str]:
        """What `steps` and `differences` ask the spelling of."""
        for column in self.columns.values():
            if column.default:
                yield f"SELECT {column.default}"
        if layout.cluster:
            yield f"SELECT {self._distribution(layout)}"

    def steps(self, layout: Layout, existing: Existing, spelt: Spelling) -> Iterator[Step]:
        """What makes it out of what there is."""
        local = layout.local(self.name)
        if found := existing.get(local):
            yield from self._columns_changed(local, layout, found, spelt)
            yield from self._parts_added(local, layout, found)
        else:
            yield Step(f"make table {local}", self._create(layout))
        if not layout.cluster:
            if self.name == _READ_BY_VIEWS and (found is None or _is_closed(found)):
                name = layout.changed(local)
                _, constraint, *_ = _CLOSED.split()
                statement = f"ALTER TABLE {name} DROP CONSTRAINT IF EXISTS {constraint}"
                yield Step(f"let table {local} take rows", statement, last=True)
            return
        distributed = existing.get(self.name)
        if distributed is None:
            make = "CREATE TABLE IF NOT EXISTS"
            yield Step(
                f"make distributed table {self.name}",
                self._distributed(make, layout),
                last=self.name == _READ_BY_VIEWS,
            )
        elif self._is_distributed(layout, distributed, spelt):
            yield from self._columns_changed(self.name, layout, distributed, spelt)
        else:
            # It holds nothing but what a server has taken in and not yet sent on.
            name = layout.changed(self.name)
            yield Step(f"send on what waits in {self.name}", f"SYSTEM FLUSH DISTRIBUTED {name}")
            make = "CREATE OR REPLACE TABLE"
            yield Step(f"renew distributed table {self.name}", self._distributed(make, layout))

    def differences(self, layout: Layout, existing: Existing, spelt: Spelling) -> Iterator[str]:
        """What is not as it should be."""
        name = layout.local(self.name)
        found = existing.get(name)
        if found is None:
            yield f"table {name} is missing"
        else:
            engine = ("Replicated" if layout.cluster else "") + self.engine
            # ClickHouse Cloud replicates by itself.
            if found.kind not in (engine, f"Shared{self.engine}"):
                yield f"table {name} has the engine {found.kind} instead of {engine}"
            if found.key != self.key.strip("()"):
                yield f"table {name} is ordered by ({found.key}) instead of {self.key}"
            if _is_closed(found):
                yield f"table {name} takes no rows yet"
            yield from self._column_differences(name, found, spelt)
            for part, declared in self.parts.items():
                if not _has_part(found, declared):
                    yield f"table {name} lacks {declared.split()[0].lower()} {part}"
        if not layout.cluster:
            return
        distributed = existing.get(self.name)
        if distributed is None:
            yield f"distributed table {self.name} is missing"
            return
        if not self._is_distributed(layout, distributed, spelt):
            wanted = self._distribution(layout)
            yield f"distributed table {self.name} is {distributed.engine} instead of {wanted}"
        yield from self._column_differences(self.name, distributed, spelt)

    def _column_differences(self, name: str, found: Found, spelt: Spelling) -> Iterator[str]:
        for column, wanted in self._wanted(spelt):
            there = found.columns.get(column)
            if there is None:
                yield f"table {name} lacks column {column} {wanted.type}"
                continue
            if there.type != wanted.type:
                yield f"column {column} of table {name} is {there.type} instead of {wanted.type}"
            if there.default != wanted.default:
                yield (
                    f"column {column} of table {name} has {there.default or 'no default'} instead "
                    f"of {wanted.default or 'none'}"
                )

    def _wanted(self, spelt: Spelling) -> Iterator[tuple[str, Column]]:
        for name, (_, kind, default) in self.columns.items():
            spelling = spelt(f"SELECT {default}").removeprefix("SELECT") if default else ""
            yield name, Column(kind, default and f"DEFAULT{spelling}")

    def _create(self, layout: Layout) -> str:
        texts = [*(column.text for column in self.columns.values()), *self.parts.values()]
        if self.name == _READ_BY_VIEWS and not layout.cluster:
            texts.append(_CLOSED)
        lines = ",\n".join(f"    {text}" for text in texts)
        name = layout.changed(layout.local(self.name))
        engine, arguments, settings = self.engine, self.arguments, self.settings
        if layout.cluster:
            engine = f"Replicated{engine}"
            arguments = ", ".join(filter(None, [_REPLICA, arguments]))
            settings = settings.replace("non_replicated_", "replicated_")
        return (
            f"CREATE TABLE IF NOT EXISTS {name}\n(\n{lines}\n)\n"
            f"ENGINE = {engine}({arguments})\nORDER BY {self.key}"
            + (f"\nSETTINGS {settings}" if settings else "")
        )

    def _distributed(self, make: str, layout: Layout) -> str:
        local = layout.full(layout.local(self.name))
        engine = self._distribution(layout)
        return f"{make} {layout.changed(self.name)} AS {local}\nENGINE = {engine}"

    def _distribution(self, layout: Layout) -> str:
        where = (layout.cluster, layout.database, layout.local(self.name))
        shard = _SHARD.get(self.name, "rand64()")  # nobody inserts into the others by these
        return f"Distributed({', '.join(map(quoted, where))}, {shard})"

    def _is_distributed(self, layout: Layout, found: Found, spelt: Spelling) -> bool:
        there = found.engine.partition(" SETTINGS ")[0]
        return f"SELECT {there}" == spelt(f"SELECT {self._distribution(layout)}")

    def _parts_added(self, name: str, layout: Layout, found: Found) -> Iterator[Step]:
        for part, declared in self.parts.items():
            if not _has_part(found, declared):
                yield Step(
                    f"add {declared.split()[0].lower()} {part} to {name}",
                    f"ALTER TABLE {layout.changed(name)} ADD {declared}",
                )

    def _columns_changed(
        self, name: str, layout: Layout, found: Found, spelt: Spelling
    ) -> Iterator[Step]:
        alter = f"ALTER TABLE {layout.changed(name)}"
        for column, wanted in self._wanted(spelt):
            there = found.columns.get(column)
            text, _, default = self.columns[column]
            if there is None:
                yield Step(
                    f"add column {column} to {name}",
                    f"{alter} ADD COLUMN IF NOT EXISTS {text}",
                )
            elif there.default != wanted.default:
                kind = there.default.partition(" ")[0]
                change = f"DEFAULT {default}" if default else f"REMOVE {kind}"
                yield Step(
                    f"change the default of column {column} of {name}",
                    f"{alter} MODIFY COLUMN `{column}` {change}",
                )


def _declarations(columns: str) -> Iterator[str]:
    """The parts between the commas that stand in no parentheses."""
    depth = start = 0
    for position, sign in enumerate(columns):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and not depth:
            yield columns[start:position].strip()
            start = position + 1
    yield columns[start:].strip()


def _is_closed(found: Found) -> bool:
    return _CLOSED in found.create


def _has_part(found: Found, declared: str) -> bool:
    kind, name = declared.split()[:2]
    return f"{kind} {name} " in found.create
