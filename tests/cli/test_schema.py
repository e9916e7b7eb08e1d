"""`otelope schema apply` and `check`, on a server."""

from __future__ import annotations

import json

from collections.abc import Callable
from pathlib import Path

import pytest

from otelope.cli.schema import _KEPT
from otelope.model.identity import new_id
from otelope.store import Server, Store, open_store, questions
from otelope.store.remote import RemoteEngine
from tests.cli.conftest import Program
from tests.e2e.servers.clickhouse import ClickHouse, clickhouse
from tests.store.made import envelope_record, keep, keep_unnamed, process_record


SCHEMA_1 = Path(__file__).parents[1] / "store" / "schemas" / "1.sql"
TABLES = {
    "otel_logs", "otel_traces", "envelopes", "deliveries", "processes", "interactions",
    "contracts", "schema_version",
}  # fmt: skip
VIEWS = {
    "envelopes_from_logs", "deliveries_from_logs", "processes_from_logs",
    "interactions_from_logs", "sends_from_logs", "contracts_from_logs",
}  # fmt: skip


@pytest.fixture
def schema(clickhouse_server: ClickHouse, otelope: Program) -> Callable[..., object]:
    """Runs `otelope schema` on the server."""

    def run(*arguments: str, **variables: str):
        return otelope("schema", *arguments, "--clickhouse", clickhouse_server.url, **variables)

    return run


def names(server: ClickHouse, database: str = "otelope") -> set[str]:
    found = server.ask(
        "SELECT name FROM system.tables WHERE database = currentDatabase()", database
    )
    return set(found.split())


def test_fresh_and_again(schema, clickhouse_server):
    where = f"{clickhouse_server.where}/otelope"
    done = schema("apply")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "make database otelope"
    assert {line.split()[-1] for line in lines[1:-3]} == TABLES | VIEWS
    assert lines[-3:] == [
        "let table otel_logs take rows",
        "note schema version 2",
        f"{len(lines) - 1} done: schema 2 at {where}",
    ]
    assert names(clickhouse_server) == TABLES | VIEWS

    done = schema("apply")
    assert (done.returncode, done.stdout) == (0, f"nothing to do: schema 2 at {where}\n")
    done = schema("check")
    assert (done.returncode, done.stdout) == (0, f"all is as it should be at {where}\n")
    done = schema("check", "--json")
    assert json.loads(done.stdout) == {"where": where, "differences": []}


def test_a_plan_is_exactly_the_statements_and_changes_nothing(schema, clickhouse_server):
    before = clickhouse_server.ask("SHOW DATABASES")
    done = schema("apply", "--plan", "--keep-logs", "7d")
    assert (done.returncode, done.stderr) == (0, "")
    assert clickhouse_server.ask("SHOW DATABASES") == before

    # Whoever runs them has the database of his client, not ours.
    for statement in done.stdout.split(";\n\n"):
        if statement:
            clickhouse_server.ask(statement, "default")

    again = schema("apply", "--plan", "--keep-logs", "7d")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr.startswith("otelope: nothing to do: schema 2 at ")
    assert schema("check").returncode == 0
    assert names(clickhouse_server, "default") == set()


@pytest.mark.parametrize("database", ["odd-name", "größe `' \\"])
def test_a_database_of_any_name_is_made(clickhouse_server, otelope, database):
    at = ("--clickhouse", clickhouse_server.url, "--clickhouse-database", database)
    done = otelope("schema", "apply", *at)
    assert (done.returncode, done.stderr) == (0, "")
    assert database in clickhouse_server.ask("SHOW DATABASES").split("\n")

    assert otelope("schema", "apply", *at).stdout.startswith("nothing to do")
    assert otelope("schema", "check", *at).returncode == 0
    assert otelope("find", *at).returncode == 1  # there is none


def ttl(server: ClickHouse, table: str) -> str:
    made = server.ask(f"SHOW CREATE TABLE otelope.{table}")
    found = [line for line in made.splitlines() if line.startswith("TTL ")]
    return found[0].removeprefix("TTL ") if found else ""


def test_rows_are_kept_as_long_as_is_said(schema, clickhouse_server):
    schema("apply", "--keep-envelopes", "90d", "--keep-logs", "7d")
    kept = {name: ttl(clickhouse_server, name) for name in TABLES}
    assert {name: rule for name, rule in kept.items() if rule} == {
        "envelopes": "inserted + toIntervalDay(90)",
        "deliveries": "inserted + toIntervalDay(90)",
        "interactions": "hour + toIntervalDay(90)",
        "contracts": "hour + toIntervalDay(90)",
        "otel_logs": "Timestamp + toIntervalDay(7)",
    }

    assert schema("apply").stdout.startswith("nothing to do")
    changed = schema("apply", "--keep-logs", "30d", "--keep-traces", "14d")
    assert changed.stdout.splitlines()[:-1] == [
        "keep rows of otel_logs for 30 days",
        "keep rows of otel_traces for 14 days",
    ]
    assert ttl(clickhouse_server, "otel_logs") == "Timestamp + toIntervalDay(30)"
    assert ttl(clickhouse_server, "envelopes") == "inserted + toIntervalDay(90)"
    removed = schema("apply", *(part for what in _KEPT for part in (f"--keep-{what}", "forever")))
    assert removed.stdout.splitlines()[-1].startswith("6 done")
    assert {ttl(clickhouse_server, name) for name in TABLES} == {""}
    assert schema("check").returncode == 0


@pytest.mark.parametrize("text", ["90", "0d", "-1d", "10000d", "3 weeks", ""])
def test_what_is_no_number_of_days_is_refused(schema, clickhouse_server, text):
    done = schema("apply", f"--keep-logs={text}")
    assert done.returncode == 2
    assert f"{text!r}: write a number of days, 90d (9999d at most), or forever" in done.stderr
    assert "otelope" not in clickhouse_server.ask("SHOW DATABASES")


def test_an_older_schema_is_upgraded_and_every_row_stays(schema, clickhouse_server, otelope):
    for statement in SCHEMA_1.read_text().split(";\n"):
        database = "default" if "CREATE DATABASE" in statement else "otelope"
        if statement.strip():
            clickhouse_server.ask(statement, database)
    server = Server.from_url(clickhouse_server.url)
    ids = [new_id(), new_id()]
    with Store(RemoteEngine(server)) as old:
        keep(old, envelope_record(ids[0]), process_record())
    for command in (("schema", "check"), ("find",)):
        done = otelope(*command, "--clickhouse", clickhouse_server.url)
        assert done.returncode == 2
        assert "of an older otelope (schema 1, this one needs 2)" in done.stderr
        assert "upgrade them with `otelope schema apply`" in done.stderr

    done = schema("apply")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:-1] == [
        "change the default of column EventName of otel_logs",
        "renew view processes_from_logs",
        "renew view interactions_from_logs",
        "renew view sends_from_logs",
        "renew view contracts_from_logs",
        "note schema version 2",
    ]
    assert schema("check").returncode == 0
    with open_store(server) as store:
        keep_unnamed(store, envelope_record(ids[1]))
        assert {each["id"] for each in questions.find(store)} == set(ids)
        assert questions.health(store)["otel_logs"]["rows"] == 3


def test_a_newer_schema_is_refused(schema, clickhouse_server):
    schema("apply")
    clickhouse_server.ask("INSERT INTO otelope.schema_version (version) VALUES (9)")
    for arguments in (("apply",), ("apply", "--plan"), ("check",)):
        done = schema(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert "a newer otelope (schema 9, this one knows 2): upgrade with pip" in done.stderr


def test_another_layout_is_refused(schema, clickhouse_server):
    schema("apply")
    for arguments in (("apply",), ("apply", "--plan"), ("check",)):
        done = schema(*arguments, "--cluster", "shop")
        assert (done.returncode, done.stdout) == (2, "")
        assert "those of one server: leave --cluster out, or name another" in done.stderr


CHANGES = {
    "ALTER TABLE otelope.deliveries DROP COLUMN attempt":
        "table deliveries lacks column attempt Nullable(UInt32)",
    "ALTER TABLE otelope.envelopes MODIFY COLUMN body LowCardinality(String)":
        "column body of table envelopes is LowCardinality(String) instead of String",
    "CREATE OR REPLACE TABLE otelope.otel_traces AS otelope.otel_traces ENGINE = MergeTree "
    "ORDER BY Timestamp":
        "table otel_traces is ordered by (Timestamp) instead of (TraceId, Timestamp, SpanId)",
    "DROP TABLE otelope.processes_from_logs": "view processes_from_logs is missing",
    "ALTER TABLE otelope.envelopes_from_logs MODIFY QUERY SELECT Body AS body "
    "FROM otelope.otel_logs": "view envelopes_from_logs is not what this otelope makes",
}  # fmt: skip


def test_what_differs_is_told(schema, clickhouse_server):
    schema("apply")
    for change in CHANGES:
        clickhouse_server.ask(change)

    done = schema("check")
    assert done.returncode == 1
    assert set(done.stdout.splitlines()) == set(CHANGES.values())
    assert "`otelope schema apply` mends what can be mended where rows stay" in done.stderr
    told = json.loads(schema("check", "--json").stdout)
    assert told["differences"] == done.stdout.splitlines()

    assert schema("apply").stdout.splitlines()[:-1] == [
        "renew view envelopes_from_logs",
        "add column attempt to deliveries",
        "make view processes_from_logs",
    ]
    done = schema("check")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert "rename the table, make it with `otelope schema apply`" in done.stderr


def test_there_is_nothing_to_check_without_tables(schema, clickhouse_server):
    done = schema("check")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no tables of otelope at {clickhouse_server.where}/otelope: make them" in done.stderr


def test_without_a_server_it_says_how_to_name_one(otelope):
    for command in ("apply", "check"):
        done = otelope("schema", command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "name the ClickHouse server with --clickhouse http://host:8123 or" in done.stderr


def test_the_tables_of_a_cluster(tmp_path, otelope):
    with clickhouse(tmp_path / "server", "--cluster", "shop") as server:
        at = ("--clickhouse", server.url)
        done = otelope("schema", "apply", *at, "--cluster", "shops")
        assert done.returncode == 2
        assert "the server knows no such cluster: name one of its remote_servers" in done.stderr
        done = otelope("schema", "apply", *at, "--cluster", "shop")
        assert (done.returncode, done.stderr) == (0, "")
        locals_ = {f"{name}_local" for name in TABLES}
        assert names(server) == TABLES | locals_ | VIEWS

        # It finds out by itself that they are those of a cluster, and of which.
        assert otelope("schema", "apply", *at).stdout.startswith("nothing to do: schema 2")
        assert otelope("schema", "check", *at).returncode == 1  # chDB's are not replicated
        done = otelope("schema", "apply", *at, "--keep-logs", "7d")
        assert done.stdout.startswith("keep rows of otel_logs_local for 7 days\n1 done")
        done = otelope("find", *at)
        assert "no envelope" in done.stderr
