"""
The time to the tree of any id among a million envelopes; with LARGE=1 among ten million as well.

Asked as `otelope tree` asks a store that nobody else has open: ClickHouse's engine in this
process. It makes the rows itself (``trees.sql``): a million by way of ``otel_logs``, the other
nine straight into what is derived from it, in two thirds of the time and half of the disk.
"""

from __future__ import annotations

import os
import statistics
import sys
import time

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.scratch import scratch
from benchmarks.shop import CHAIN, LINES, VERSION, WORDS
from otelope.model import semconv
from otelope.model.identity import identify
from otelope.store import Store, schema, statements
from otelope.store.embedded import EmbeddedEngine
from otelope.store.layout import Layout
from otelope.store.questions import tree


_MILLION = 1_000_000
_MILLIONS = 10
_ASKED = 200
_WARM_UP = 50
_GOAL_MS = 50
# Merges that have not begun for so long are not due.
_QUIET_SECONDS = 2.0
_MERGE_SECONDS = 180.0
_PAUSE = 0.1

_SQL = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
_SHOP = {
    **vars(semconv),
    "types": [step.type for step in CHAIN],
    "senders": [step.sender for step in CHAIN],
    "handlers": [step.handler for step in CHAIN],
    # ClickHouse counts from one.
    "causes": [0 if step.cause is None else step.cause + 1 for step in CHAIN],
    "continued": 6,
    "epoch_ms": 1_700_000_000_000,
    "lines": LINES,
    "version": VERSION,
    "words": WORDS,
}
_SETTINGS = "SETTINGS max_insert_threads = 2, parallel_view_processing = 1"
_ANY = f"SELECT id, trace_id, span_id FROM envelopes ORDER BY rand() LIMIT {_WARM_UP + _ASKED}"  # noqa: S608 - our own number
_SIZE = """
    SELECT
        sumIf(rows, table = 'envelopes'), countIf(table = 'envelopes'),
        formatReadableSize(sum(bytes_on_disk)), (SELECT count() FROM system.merges)
    FROM system.parts WHERE active AND database = currentDatabase()
"""


def run() -> Iterator[dict[str, Any]]:
    """Measure; one row of name, ratio, unit and goal per figure."""
    with scratch() as directory, closing(EmbeddedEngine(directory)) as engine:
        for _ in schema.apply(engine, Layout(engine.database)):
            pass
        schema.number_rows(engine)
        _insert(engine, "otel_logs", _made(0, _MILLION))
        yield from _measured(engine, "1m")
        if os.environ.get("LARGE", "0") not in ("", "0"):
            _derive_only(engine)
            _insert(engine, "derive_only", _made(_MILLION, (_MILLIONS - 1) * _MILLION))
            for row in _measured(engine, f"{_MILLIONS}m"):
                yield {**row, "note": "of tables that were filled directly"}


def _made(first: int, count: int) -> str:
    return Template(_SQL).substitute({**_SHOP, "first": first, "count": count})


def _derive_only(engine: EmbeddedEngine) -> None:
    """A table that keeps no rows itself, for what is derived of them and asked for here."""
    engine.run("CREATE TABLE derive_only AS otel_logs ENGINE = Null")
    for view in schema.views():
        if view.target in ("envelopes", "deliveries"):
            select = view.select.replace("FROM otel_logs", "FROM derive_only")
            engine.run(f"CREATE MATERIALIZED VIEW only_{view.name} TO {view.target} AS {select}")


def _insert(engine: EmbeddedEngine, table: str, rows: str) -> None:
    started = time.monotonic()
    into = statements.insert("otel_logs").replace("otel_logs", table)
    engine.run(f"{into}\n{rows}\n{_SETTINGS}")
    sys.stderr.write(f"trees: rows inserted in {time.monotonic() - started:.0f} s\n")


def _measured(engine: EmbeddedEngine, size: str) -> Iterator[dict[str, Any]]:
    waited = _settle(engine)
    store = Store(engine)
    times = [_milliseconds(store, *row) for row in _rows(engine, _ANY)][_WARM_UP:]
    took, cpu = zip(*times, strict=True)
    ((envelopes, parts, on_disk, merges),) = _rows(engine, _SIZE)
    # On a machine that is busy otherwise, CPU says more than the clock.
    sys.stderr.write(
        f"trees: {int(envelopes):,} envelopes in {parts} parts, {on_disk} in all, {waited:.0f} s "
        f"later, during {merges} merges: {statistics.median(cpu):.1f} ms of CPU a tree, p95 "
        f"{_p95(cpu):.1f}; load {os.getloadavg()[0]:.1f}\n"
    )
    for name, milliseconds, goal in (
        ("p50", statistics.median(took), None),
        ("p95", _p95(took), f"<= {_GOAL_MS}"),
        ("max", max(took), None),
    ):
        yield {
            "name": f"tree_of_{size}_{name}",
            "ratio": round(milliseconds, 1),
            "unit": "ms",
            "goal": goal,
        }


def _settle(engine: EmbeddedEngine) -> float:
    """The seconds until what was inserted is merged, as it is in a store that has been used."""
    started = busy = now = time.monotonic()
    while now - busy < _QUIET_SECONDS and now - started < _MERGE_SECONDS:
        time.sleep(_PAUSE)
        now = time.monotonic()
        if _rows(engine, "SELECT 1 FROM system.merges LIMIT 1"):
            busy = now
    return busy - started


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _milliseconds(
    store: Store, envelope_id: str, trace_id: str, span_id: str
) -> tuple[float, float]:
    """How long the tree around an envelope takes, and how much CPU."""
    who = identify(envelope_id)
    assert (f"{who.trace_id:032x}", f"{who.span_id:016x}") == (trace_id, span_id), envelope_id
    cpu, started = time.process_time(), time.perf_counter()
    found = tree(store, envelope_id)
    took = (time.perf_counter() - started) * 1000, (time.process_time() - cpu) * 1000
    whole = {"envelopes": len(CHAIN), "deliveries": len(CHAIN), "failed": 0}
    assert isinstance(found, dict), f"no tree of {envelope_id}: {found}"
    assert found["counts"] == whole, f"not the whole tree of {envelope_id}: {found['counts']}"
    return took


def _rows(engine: EmbeddedEngine, statement: str) -> list[list[str]]:
    return [line.split("\t") for line in engine.read(statement, {}, "TSV").decode().splitlines()]


if __name__ == "__main__":
    for measured in run():
        print(measured)
