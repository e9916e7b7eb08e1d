"""The tables of a store: made, upgraded where they are, compared with what they should be."""

from __future__ import annotations

import hashlib

from pathlib import Path

import pytest

import otelope.store

from otelope.model.identity import new_id
from otelope.store import Store, StoreError, open_store, questions, schema, statements
from otelope.store.embedded import EmbeddedEngine
from otelope.store.layout import Layout
from tests.store.made import (
    delivery_record,
    envelope_record,
    keep,
    keep_unnamed,
    process_record,
)


LAYOUT = Layout("otelope")
FILES = list((Path(otelope.store.__file__).parent / "sql" / "schema").iterdir())
SCHEMA_1 = Path(__file__).parent / "schemas" / "1.sql"


@pytest.fixture
def engine(tmp_path):
    opened = EmbeddedEngine(tmp_path / "data")
    yield opened
    opened.close()


def make(engine, layout=LAYOUT):
    return [step.title for step in schema.apply(engine, layout)]


def table_of(engine, name):
    statement = "SELECT create_table_query FROM system.tables WHERE name = {name:String}"
    return engine.read(statement, {"name": name})


def test_what_an_exporter_does_not_name_is_known_by_what_it_holds(store):
    parent = new_id()
    child = new_id(parent)
    keep_unnamed(
        store,
        envelope_record(parent),
        envelope_record(child, parent, at=3),
        delivery_record(child, outcome="error"),
        process_record(counters={"seen": 1}),
    )

    assert questions.tree(store, parent)["counts"] == {
        "envelopes": 2, "deliveries": 1, "failed": 1,
    }  # fmt: skip
    (process,) = questions.processes(store)
    assert (process["pid"], process["status"]) == (4711, {"counters": {"seen": 1}})
    (interaction,) = questions.interactions(store)
    assert interaction["count"] == 2


def test_what_is_not_ours_gets_no_name(store):
    keep_unnamed(store, envelope_record(new_id()), process_record(), scope="somebody.else")
    unlike = process_record()
    del unlike.attributes[:]
    keep_unnamed(store, unlike)

    rows = {name: each["rows"] for name, each in questions.health(store).items()}
    assert (rows["otel_logs"], rows["envelopes"], rows["processes"]) == (3, 0, 0)


def test_a_name_that_is_given_stays(store):
    record = envelope_record(new_id())
    record.event_name = "of somebody"
    keep(store, record)

    assert questions.health(store)["envelopes"]["rows"] == 0


def test_statements_are_those_of_the_files(engine):
    """Nothing of a file is lost on its way through the parser."""
    make(engine)
    for name in (path.stem.partition("_")[2] for path in FILES if "_from_" not in path.stem):
        made = table_of(engine, name)
        engine.run(f"DROP TABLE {name}")
        (statement,) = [each for each in statements.schema() if f"EXISTS {name}\n" in each]
        engine.run(statement)
        assert table_of(engine, name) == made != b""


def test_a_change_of_the_schema_is_a_new_version():
    """A directory is upgraded when its version differs, and only then."""
    digest = hashlib.sha256("".join(statements.schema()).encode()).hexdigest()[:16]
    assert (statements.SCHEMA_VERSION, digest) == (2, "da2acda1d2e08c0c")


def test_made_once_there_is_nothing_to_do_and_nothing_differs(engine):
    assert make(engine)[-1] == f"note schema version {statements.SCHEMA_VERSION}"
    assert make(engine) == []
    assert schema.differences(engine, LAYOUT) == []


def test_an_interrupted_apply_is_finished_by_the_next(engine):
    for end in (1, 5, -1):
        for step in schema.plan(engine, LAYOUT)[:end]:
            engine.run(step.statement)
        assert schema.version(engine) == 0
        assert schema.plan(engine, LAYOUT)

    make(engine)

    assert schema.differences(engine, LAYOUT) == []


def test_what_comes_while_tables_are_made_is_refused_or_seen_by_every_view(engine):
    store, taken, refused = Store(engine), [], 0
    for step in schema.plan(engine, LAYOUT):
        engine.run(step.statement)
        own = new_id()
        try:
            keep(store, envelope_record(own))
        except StoreError:
            refused += 1
        else:
            taken.append(own)

    assert refused > 10
    assert taken
    rows = {name: each["rows"] for name, each in questions.health(store).items()}
    assert rows["otel_logs"] == rows["envelopes"] == rows["deliveries"] == len(taken)
    assert questions.interactions(store)[0]["count"] == len(taken)


def test_a_table_that_takes_no_rows_yet_is_told(engine):
    for step in schema.plan(engine, LAYOUT):
        if not step.last:
            engine.run(step.statement)

    assert schema.differences(engine, LAYOUT) == ["table otel_logs takes no rows yet"]
    assert make(engine) == ["let table otel_logs take rows"]


def make_schema_1(engine):
    for statement in SCHEMA_1.read_text().split(";\n"):
        if statement.strip():
            engine.run(statement)


def test_a_store_of_schema_1_is_upgraded_where_it_is(tmp_path):
    ids = [new_id()]
    ids.append(new_id(ids[0]))
    engine = EmbeddedEngine(tmp_path)
    make_schema_1(engine)
    with Store(engine) as old:
        keep(old, envelope_record(ids[0]), process_record(seen=1))
        keep_unnamed(old, envelope_record(new_id()))

    with open_store(str(tmp_path)) as store:
        assert schema.version(store._engine) == 2
        assert schema.differences(store._engine, LAYOUT) == []
        assert questions.health(store)["otel_logs"]["rows"] == 3
        keep_unnamed(store, envelope_record(ids[1], ids[0]), process_record(at=1, seen=2))

        assert questions.tree(store, ids[1])["counts"]["envelopes"] == 2
        # Before, no process said its own number.
        assert [each["pid"] for each in questions.processes(store)] == [4711, None]


LOGS = "column EventName of table otel_logs has"
MENDED = {
    "ALTER TABLE envelopes DROP COLUMN cause_span_id":
        "table envelopes lacks column cause_span_id String",
    "ALTER TABLE otel_logs MODIFY COLUMN EventName REMOVE DEFAULT":
        f"{LOGS} no default instead of DEFAULT multiIf(ScopeName != 'otelope', '', ",
    "ALTER TABLE otel_logs MODIFY COLUMN EventName DEFAULT 'x'":
        f"{LOGS} DEFAULT 'x' instead of DEFAULT multiIf(",
    "ALTER TABLE otel_logs MODIFY COLUMN EventName MATERIALIZED 'x'":
        f"{LOGS} MATERIALIZED 'x' instead of DEFAULT multiIf(",
    "ALTER TABLE deliveries MODIFY COLUMN channel MATERIALIZED 'x'":
        "column channel of table deliveries has MATERIALIZED 'x' instead of none",
    "ALTER TABLE envelopes DROP INDEX by_ts": "table envelopes lacks index by_ts",
    "ALTER TABLE envelopes DROP PROJECTION by_id": "table envelopes lacks projection by_id",
    "DROP VIEW sends_from_logs": "view sends_from_logs is missing",
    "ALTER TABLE processes_from_logs MODIFY QUERY SELECT now64(9) AS last_seen FROM otel_logs":
        "view processes_from_logs is not what this otelope makes",
    "DROP TABLE contracts": "table contracts is missing",
}  # fmt: skip


@pytest.mark.parametrize("change", MENDED)
def test_what_differs_is_told_and_mended(engine, change):
    make(engine)
    engine.run(change)

    (told,) = schema.differences(engine, LAYOUT)
    assert told.startswith(MENDED[change])

    assert len(make(engine)) == 1
    assert schema.differences(engine, LAYOUT) == []


ANEW = "CREATE OR REPLACE TABLE processes AS processes ENGINE ="
NOT_IN_PLACE = {
    "ALTER TABLE deliveries MODIFY COLUMN attempt Nullable(UInt64)":
        "column attempt of table deliveries is Nullable(UInt64) instead of Nullable(UInt32)",
    f"{ANEW} ReplacingMergeTree(last_seen) ORDER BY (service, pid)":
        "table processes is ordered by (service, pid) instead of (service, instance, pid)",
    f"{ANEW} MergeTree ORDER BY (service, instance, pid)":
        "table processes has the engine MergeTree instead of ReplacingMergeTree",
}  # fmt: skip


@pytest.mark.parametrize("change", NOT_IN_PLACE)
def test_what_cannot_be_changed_in_place_is_told_and_left(engine, change):
    make(engine)
    engine.run(change)

    assert schema.differences(engine, LAYOUT) == [NOT_IN_PLACE[change]]
    assert make(engine) == []


def test_rows_are_taken_over_by_hand_as_the_documentation_says(engine):
    make(engine)
    store, own = Store(engine), new_id()
    keep(store, delivery_record(own))
    engine.run("ALTER TABLE deliveries MODIFY COLUMN attempt Nullable(UInt64) AFTER envelope_id")

    engine.run("RENAME TABLE otelope.deliveries TO otelope.deliveries_before")
    with pytest.raises(StoreError):
        keep(store, delivery_record(own, span=2))
    assert make(engine) == ["make table deliveries"]
    keep(store, delivery_record(own, span=2))
    columns = (
        "SELECT arrayStringConcat(groupArray(name), ', ') FROM system.columns "
        "WHERE database = 'otelope' AND table = 'deliveries'"
    )
    names = engine.read(columns, {}, "TSVRaw").decode().strip()
    engine.run(f"INSERT INTO deliveries ({names}) SELECT {names} FROM deliveries_before")  # noqa: S608 - our own

    assert schema.differences(engine, LAYOUT) == []
    assert questions.health(store)["deliveries"]["rows"] == 2


def test_what_others_add_is_their_business(engine):
    make(engine)
    engine.run("ALTER TABLE envelopes ADD COLUMN tenant String DEFAULT 'x'")
    engine.run("CREATE TABLE theirs (a Int32) ENGINE = Memory")

    assert schema.differences(engine, LAYOUT) == []
    assert schema.plan(engine, LAYOUT) == []


def test_rows_are_kept_as_long_as_is_said(engine):
    make(engine)

    def kept(**days):
        return make(engine, Layout("otelope", keep_days=days))

    assert kept(envelopes=90, logs=7) == [
        "keep rows of envelopes for 90 days",
        "keep rows of deliveries for 90 days",
        "keep rows of interactions for 90 days",
        "keep rows of contracts for 90 days",
        "keep rows of otel_logs for 7 days",
    ]
    assert kept(envelopes=90, logs=7) == kept() == []
    assert kept(envelopes=90, logs=30) == ["keep rows of otel_logs for 30 days"]
    assert kept(logs=0, traces=0) == ["keep rows of otel_logs for ever"]
    assert schema.differences(engine, LAYOUT) == []


def test_rows_go_when_their_time_has_come(store):
    keep(store, envelope_record(new_id()))
    for _ in schema.apply(store._engine, Layout("otelope", keep_days={"logs": 1})):
        pass
    store._engine.run("OPTIMIZE TABLE otel_logs FINAL")

    rows = {name: each["rows"] for name, each in questions.health(store).items()}
    # The record says a moment of last year; the envelope has arrived today.
    assert (rows["otel_logs"], rows["envelopes"]) == (0, 1)


def test_the_tables_of_a_cluster_are_not_taken_for_those_of_a_server(engine):
    make(engine)

    with pytest.raises(StoreError, match=r"those of one server: leave --cluster out"):
        schema.plan(engine, Layout("otelope", "shop"))
    with pytest.raises(StoreError, match=r"those of one server"):
        schema.differences(engine, Layout("otelope", "shop"))
