from __future__ import annotations

import json
import re
import shutil

from collections.abc import Iterator
from pathlib import Path

import pytest

from hypothesis import given
from hypothesis import strategies as st

from otelope.collector.otlp import span_rows
from otelope.model.identity import new_id
from otelope.store import Store, StoreError, open_store, schema, statements
from otelope.store.blocks import Insert, Place, blocks, windows
from otelope.store.push import Push
from tests.e2e.servers.clickhouse import ClickHouse
from tests.store.made import delivery_record, envelope_record, keep
from tests.store.serving import relay, serving
from tests.store.stories import answers, spans, tell


# So small that stories have many blocks, and blocks more than one insert.
FEW = 7
DERIVED = ("envelopes", "deliveries", "processes", "interactions", "contracts")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[ClickHouse]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def target(server) -> Iterator[Store]:
    """A server's store, empty."""
    with open_store(server.url) as opened:
        for table in ("otel_logs", "otel_traces", *DERIVED):
            opened._engine.run(f"TRUNCATE TABLE otelope.{table}")
            # Forgets the blocks that it knew as well.
            for window in (0, 10_000):
                opened._engine.run(
                    f"ALTER TABLE otelope.{table} MODIFY SETTING "
                    f"non_replicated_deduplication_window = {window}"
                )
        yield opened


def push(source, target, rows=FEW):
    return sum(Push(source, target, rows).run())


def test_every_question_has_the_same_answer_there(store, target):
    for number in range(3):
        tell(store, number)

    copied = push(store, target)

    told = answers(store)
    assert copied == len(told["logs"]) + len(told["all spans"]) > 10 * FEW
    assert answers(target) == told


def test_pushed_again_there_is_nothing_to_copy(store, target):
    tell(store, 1)
    push(store, target)
    told = answers(target)

    again = Push(store, target, FEW)

    assert set(again.left.values()) == {0}
    assert list(again.run()) == []
    assert answers(target) == told


def test_what_came_after_a_push_is_copied_by_the_next(store, target):
    tell(store, 1)
    one = push(store, target)
    tell(store, 2)
    # What is copied and what is new are in one part from here on.
    merge(store)

    assert push(store, target) == one
    tell(store, 3)
    assert push(store, target) == one
    assert answers(target) == answers(store)


def test_log_records_are_there_in_the_order_they_came(store, target):
    ids = [new_id() for _ in range(5 * FEW)]
    for position, each in enumerate(ids):
        # Neither by their times nor by their services.
        service = f"service-{position * 3 % 5}"
        keep(store, envelope_record(each, at=-position), token=each, service=service)
    merge(store)

    push(store, target)

    rows = target.rows("SELECT id FROM envelopes ORDER BY inserted, id", {}, "TSV")
    told = rows.decode().split()
    assert [set(told[at : at + FEW]) for at in range(0, len(ids), FEW)] == [
        set(ids[at : at + FEW]) for at in range(0, len(ids), FEW)
    ]


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("at", [1, 4, 8])
def test_where_the_connection_breaks_it_goes_on_from_there(store, server, target, at, committed):
    tell(store, 1)
    total = sum(Push(store, target, FEW).left.values())
    broken = break_off_at(at, store, server, committed=committed)

    rest = Push(store, target, FEW)
    assert sum(rest.left.values()) == total - sum(broken.copied.values())
    assert sum(rest.run()) == total - sum(broken.copied.values())
    assert answers(target) == answers(store)


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("made", ["log_records", "spans"])
def test_a_block_whose_token_is_forgotten_is_looked_for(store, server, target, made, committed):
    if made == "log_records":
        tell(store, 0)
    else:
        rows = span_rows(spans(1))
        store.ingest(rows.table, rows.data, "")
    break_off_at(2 if made == "log_records" else 1, store, server, committed=committed)
    forget_blocks(target)
    make_older(store)

    push(store, target)

    assert answers(target) == answers(store)


def test_what_the_views_had_not_made_of_it_is_made_good(store, server, target):
    keep(
        store,
        envelope_record("caught-up"),
        envelope_record("caught-up", recorded_by="maker"),
        delivery_record("caught-up"),
    )
    break_off_at(1, store, server, committed=True)
    forget_blocks(target)
    make_older(store)
    # A server that dies between the commit of the base table and those of the views leaves this.
    for table in DERIVED:
        target._engine.run(f"TRUNCATE TABLE otelope.{table}")

    push(store, target)

    assert answers(target) == answers(store)


@pytest.mark.slow
def test_a_directory_from_before_rows_kept_their_place(tmp_path, target, monkeypatch):
    directory = str(tmp_path / "earlier")
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "number_rows", lambda engine: None)
        with open_store(directory) as store:
            tell(store, 1)
            merge(store)
            tell(store, 2)
            assert len(store.ask("unnumbered")) == 2

    with open_store(directory) as store:
        assert store.ask("unnumbered") == []
        push(store, target)
        tell(store, 3)
        merge(store)
        push(store, target)
        assert answers(target) == answers(store)


@pytest.mark.slow
def test_two_directories_go_to_one_server(tmp_path, target):
    counts = []
    for name in ("one", "other"):
        with open_store(str(tmp_path / name)) as store:
            tell(store, 1)
            counts.append(push(store, target))
    rows = answers(target)["rows"]

    assert rows["otel_logs"] + rows["otel_traces"] == sum(counts)


@pytest.mark.slow
def test_a_server_whose_tables_were_made_anew_gets_all_of_it(tmp_path, store):
    tell(store, 1)
    copied = []
    for name in ("first", "second"):
        with serving(tmp_path / name) as server, open_store(server.url) as target:
            copied.append(push(store, target))
            assert answers(target) == answers(store)

    assert copied[0] == copied[1] > 0
    assert len(list((tmp_path / "data" / "pushed").iterdir())) == 2


@pytest.mark.slow
def test_a_store_made_anew_in_the_same_directory_is_another(tmp_path, target):
    total = 0
    for _ in range(2):
        with open_store(str(tmp_path / "again")) as store:
            tell(store, 1)
            total += push(store, target)
        shutil.rmtree(tmp_path / "again" / "engine")

    rows = answers(target)["rows"]
    assert rows["otel_logs"] + rows["otel_traces"] == total


@pytest.mark.slow
def test_without_its_ledger_the_same_blocks_are_the_same(store, target, tmp_path):
    tell(store, 1)
    first = push(store, target)
    shutil.rmtree(tmp_path / "data" / "pushed")

    assert push(store, target) == first
    assert answers(target) == answers(store)


def test_a_store_that_has_lost_what_was_copied_is_not_taken_for_it(store, target):
    tell(store, 1)
    push(store, target)
    store._engine.run("TRUNCATE TABLE otel_logs")

    with pytest.raises(StoreError, match=r"rows of otel_logs were copied .* Remove .*\.json"):
        Push(store, target)


def test_log_records_with_a_limited_life_are_refused(store, target):
    store._engine.run("ALTER TABLE otel_logs MODIFY TTL Timestamp + toIntervalDay(7)")

    with pytest.raises(StoreError, match=r"kept for a limited time.*REMOVE TTL"):
        Push(store, target)


def test_a_ledger_that_cannot_be_read_or_written_is_named(store, target, tmp_path):
    tell(store, 1)
    push(store, target)
    (ledger,) = (tmp_path / "data" / "pushed").iterdir()
    ledger.write_text("{}")
    with pytest.raises(StoreError, match=f"{re.escape(str(ledger))}.*cannot be read .*remove it"):
        Push(store, target)

    shutil.rmtree(ledger.parent)
    ledger.parent.write_text("no directory")
    with pytest.raises(StoreError, match=r"cannot be read .Not a directory"):
        Push(store, target)


def test_a_row_larger_than_a_block_is_one(store, target):
    ids = [new_id() for _ in range(3)]
    for each, size in zip(ids, (1, 9 * 1024 * 1024, 1), strict=True):
        keep(store, envelope_record(each, note="x" * size), token=each)

    assert list(Push(store, target).run()) == [1, 1, 1]
    assert answers(target)["rows"] == answers(store)["rows"]


@pytest.mark.parametrize(
    ("insert", "question"), [("otel_logs", "push_logs"), ("otel_traces", "push_spans")]
)
def test_the_columns_that_are_read_are_those_that_are_inserted(insert, question):
    named = re.search(r"\((.*)\)", statements.insert(insert), re.DOTALL)[1]
    read = re.search(r"SELECT\n(.*)\nFROM", statements.query(question), re.DOTALL)[1]

    assert " ".join(read.split()) == " ".join(named.split())


@given(st.lists(st.integers(0, 100)), st.integers(1, 7), st.integers(1, 150), st.integers(0, 20))
def test_blocks_are_full_in_order_and_cut_alike_whatever_follows(sizes, rows, size, known):
    cuts = [sizes[cut] for cut in blocks(sizes, rows, size)]

    assert [each for cut in cuts for each in cut] == sizes
    for cut, following in zip(cuts, [*cuts[1:], []], strict=False):
        assert 0 < len(cut) <= rows
        assert sum(cut) <= size or len(cut) == 1
        if following:
            assert len(cut) == rows or sum(cut) + following[0] > size
    earlier = [sizes[cut] for cut in blocks(sizes[:known], rows, size)]
    assert earlier[:-1] == cuts[: max(0, len(earlier) - 1)]


@st.composite
def arrivals(draw):
    """Inserts with gaps between their numbers and, where rows are gone, within them."""
    number, found = draw(st.integers(1, 3)), []
    for _ in range(draw(st.integers(0, 12))):
        offsets = sorted(draw(st.sets(st.integers(0, 40), min_size=1, max_size=30)))
        found.append((number, offsets))
        number += draw(st.integers(1, 3))
    return found


@given(arrivals(), st.integers(1, 12), st.integers(0, 45))
def test_windows_hold_every_row_once_in_order_and_few(found, most, first):
    begin = Place(found[0][0] if found else 1, first)
    rows = [
        (number, [each for each in offsets if Place(number, each) >= begin])
        for number, offsets in found
    ]
    inserts = [
        Insert(number, len(offsets), offsets[-1], number, number + 1)
        for number, offsets in rows
        if offsets
    ]
    cut = list(windows(inserts, begin, most))

    held = [
        [(number, each) for number, offsets in rows for each in offsets
         if window.begin <= (number, each) < window.end]
        for window in cut
    ]  # fmt: skip
    assert [each for window in held for each in window] == [
        (number, each) for number, offsets in rows for each in offsets
    ]
    assert all(len(window) <= most for window in held)
    for window, own in zip(cut, held, strict=True):
        assert all(window.since <= number < window.until for number, _ in own)
    assert [window.begin for window in cut] == [begin, *(each.end for each in cut)][: len(cut)]


def merge(store):
    for table in ("otel_logs", "otel_traces"):
        store._engine.run(f"OPTIMIZE TABLE otelope.{table} FINAL")


def break_off_at(insert, store, server, *, committed):
    """A push that ends in the midst of an insert."""
    with relay(server.url) as between, open_store(between.dsn) as through:

        def break_off(number: int) -> None:
            if number == insert:
                raise ConnectionResetError

        setattr(between, "after" if committed else "before", break_off)
        broken = Push(store, through, FEW)
        with pytest.raises(StoreError, match="connection broke"):
            list(broken.run())
        assert between.inserts == insert
    return broken


def forget_blocks(target):
    for table in ("otel_logs", "otel_traces", *DERIVED):
        target._engine.run(
            f"ALTER TABLE otelope.{table} MODIFY SETTING non_replicated_deduplication_window = 0"
        )


def make_older(store):
    """Let the block that a push was sending be one of long ago."""
    (ledger,) = (Path(store.where) / "pushed").iterdir()
    page = json.loads(ledger.read_text())
    (sending,) = [each["block"] for each in page["tables"].values() if each["block"]]
    sending["sent"] -= 3600
    ledger.write_text(json.dumps(page))
