from __future__ import annotations

import threading

from concurrent.futures import wait

import pytest

from otelope.collector.batching import BusyError, GroupCommit
from otelope.collector.otlp import Rows
from otelope.store import StoreError


class Scripted:
    """Stands where a store does; commits wait for `gate`, and fail on rows marked so."""

    def __init__(self):
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.blocks = []

    def ingest(self, table, rows, token):
        self.entered.set()
        assert self.gate.wait(30)
        self.blocks.append((table, rows, token))
        if b"bad" in rows:
            raise StoreError("no")


@pytest.fixture
def store():
    return Scripted()


@pytest.fixture
def commit(store):
    commit = GroupCommit(store, max_waiting_bytes=1000)
    yield commit
    store.gate.set()
    commit.close()


def held(store, commit):
    """Keep the writer busy with a first request, so that others have to wait together."""
    first = commit.submit(Rows("otel_logs", 1, b"first"))
    assert store.entered.wait(30)
    return first


def test_what_waits_together_is_committed_together(store, commit):
    first = held(store, commit)
    futures = [commit.submit(Rows("otel_logs", 1, b"%d" % at)) for at in range(5)]
    futures.append(commit.submit(Rows("otel_traces", 1, b"span")))
    assert not any(future.done() for future in [first, *futures])

    store.gate.set()
    wait([first, *futures], 30)

    assert [block[:2] for block in store.blocks] == [
        ("otel_logs", b"first"),
        ("otel_logs", b"01234"),
        ("otel_traces", b"span"),
    ]
    assert [future.result() for future in futures] == [None] * 6


def test_a_large_request_is_a_block_of_its_own_with_the_same_token_each_time(store, commit):
    held(store, commit)
    futures = [commit.submit(Rows("otel_logs", size, b"rows")) for size in (500, 500, 1)]

    store.gate.set()
    wait(futures, 30)

    tokens = [block[2] for block in store.blocks[1:]]
    assert len(store.blocks) == 4
    assert tokens[0] == tokens[1] == tokens[2]


def test_one_bad_request_fails_alone(store, commit):
    held(store, commit)
    futures = [commit.submit(Rows("otel_logs", 1, rows)) for rows in (b"one", b"bad", b"two")]

    store.gate.set()
    wait(futures, 30)

    assert [type(future.exception()) for future in futures] == [type(None), StoreError, type(None)]


def test_beyond_its_memory_it_is_busy(store, commit):
    held(store, commit)
    large = commit.submit(Rows("otel_logs", 600, b"x" * 2000))  # alone it may wait
    with pytest.raises(BusyError, match="does not keep up"):
        commit.submit(Rows("otel_logs", 1, b"y"))

    store.gate.set()
    large.result(30)
    commit.submit(Rows("otel_logs", 1, b"y")).result(30)


def test_who_has_gone_is_not_served(store, commit):
    held(store, commit)
    gone = commit.submit(Rows("otel_logs", 1, b"gone"))
    assert gone.cancel()
    stays = commit.submit(Rows("otel_logs", 1, b"stays"))

    store.gate.set()
    stays.result(30)

    assert [block[1] for block in store.blocks] == [b"first", b"stays"]


def test_closing_commits_what_waits_and_takes_no_more(store, commit):
    held(store, commit)
    waiting = commit.submit(Rows("otel_logs", 1, b"waiting"))
    store.gate.set()

    commit.close()

    assert waiting.result(0) is None
    with pytest.raises(BusyError, match="stopping"):
        commit.submit(Rows("otel_logs", 1, b"late"))


def test_nothing_to_store_is_done_at_once(store, commit):
    assert commit.submit(Rows("", 0, b"")).done()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_leaves_nobody_waiting(store, commit, monkeypatch):
    first = held(store, commit)
    waiting = commit.submit(Rows("otel_logs", 600, b"waiting"))
    monkeypatch.setattr(store, "blocks", None)  # ingest now fails with an AttributeError
    store.gate.set()

    for future in (first, waiting):
        with pytest.raises(StoreError, match="stopped writing"):
            future.result(30)
    with pytest.raises(BusyError):
        commit.submit(Rows("otel_logs", 1, b"late"))
