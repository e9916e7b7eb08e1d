from __future__ import annotations

import subprocess
import sys

import pytest

from otelope.model.identity import new_id
from otelope.store import CannotOpenError, Server, StoreError, open_store, questions, statements
from tests.store.made import delivery_record, envelope_record, keep, make_tables


def test_what_was_kept_is_there_when_it_is_opened_again(tmp_path):
    envelope_id = new_id()
    for token in ("once", "once"):
        with open_store(f"chdb://{tmp_path}/data") as store:
            keep(store, envelope_record(envelope_id), token=token)

    with open_store(f"{tmp_path}/data") as store:
        assert questions.tree(store, envelope_id)["counts"]["envelopes"] == 1
        # The window of known blocks outlives the process, and holds for the views too.
        assert questions.health(store)["otel_logs"]["rows"] == 1
        assert questions.health(store)["envelopes"]["rows"] == 1


OPEN = """
import sys
from otelope.store import CannotOpenError, open_store
try:
    open_store(sys.argv[1])
except CannotOpenError as error:
    print(error)
"""


def test_a_directory_has_one_owner(tmp_path):
    with open_store(str(tmp_path)):
        other = subprocess.run(
            [sys.executable, "-c", OPEN, str(tmp_path)], capture_output=True, text=True, check=True
        )
    pid = (tmp_path / "lock").read_text().strip()

    assert f"in use by another otelope (process {pid})" in other.stdout


def test_a_newer_schema_is_left_alone(tmp_path, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setattr(statements, "SCHEMA_VERSION", statements.SCHEMA_VERSION + 1)
        open_store(str(tmp_path)).close()

    with pytest.raises(CannotOpenError, match=r"newer otelope.*upgrade with pip"):
        open_store(str(tmp_path))


def test_a_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotOpenError, match="cannot be written"):
        open_store(str(tmp_path / "file" / "data"))


@pytest.mark.parametrize("dsn", ["chdb://", "chdb://host/path", "postgres://host/db"])
def test_a_dsn_of_something_else(dsn):
    with pytest.raises(CannotOpenError, match=r"chdb:///"):
        open_store(dsn)


def test_without_chdb_it_says_what_to_install(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "chdb"] + ["chdb"]:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(CannotOpenError, match=r"pip install 'otelope\[up\]'"):
        open_store(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_the_engine_refuses_is_a_store_error(store):
    with pytest.raises(StoreError):
        store.ingest("otel_logs", b"\xff" * 100, "not rows")
    assert questions.health(store)["otel_logs"]["rows"] == 0


@pytest.mark.parametrize("view", ["envelopes", "deliveries", "interactions"])
def test_a_view_that_a_crash_left_behind_is_made_good_by_the_retry(store, view):
    records = [envelope_record("caught-up"), delivery_record("caught-up")]
    # A kill between the commit of the base table and that of a view leaves just this.
    store._engine.run(f"DROP VIEW {view}_from_logs")
    keep(store, *records, token="the block")
    left = questions.health(store)[view]["rows"]
    (again,) = [each for each in statements.schema() if f"EXISTS {view}_from_logs" in each]
    store._engine.run(again)

    keep(store, *records, token="the block")

    rows = {name: table["rows"] for name, table in questions.health(store).items()}
    assert rows["otel_logs"] == 2
    assert rows["envelopes"] == rows["interactions"] == 1
    assert rows["deliveries"] == 2  # the sending and the handling
    assert rows[view] == left + 1


def test_a_store_that_is_closed_says_so(store):
    store.close()
    store.close()

    with pytest.raises(StoreError, match="closed"):
        questions.health(store)


def test_a_server_answers_the_same(clickhouse_server):
    server = Server.from_url(f"{clickhouse_server.url}/otelope")
    ids = [new_id()]
    ids.append(new_id(ids[0]))
    with pytest.raises(CannotOpenError, match="otelope schema apply"):
        open_store(server)
    make_tables(server)
    with open_store(server) as store:
        for _ in range(2):
            keep(
                store,
                envelope_record(ids[0], note="it's + a\\b & ü"),
                envelope_record(ids[1], ids[0], at=3),
                delivery_record(ids[1], outcome="error"),
                token="a block",
            )

        assert questions.tree(store, ids[1])["counts"] == {
            "envelopes": 2,
            "deliveries": 1,
            "failed": 1,
        }
        assert len(questions.find(store, text="it's + a", failed=False)) == 1
        assert questions.health(store)["otel_logs"]["rows"] == 3
