from __future__ import annotations

import json
import re

from uuid import uuid4

import pytest

from otelope.model import semconv
from otelope.model.identity import identify, new_id
from otelope.store import questions, statements
from otelope.store.engine import literal
from otelope.store.questions import Candidates, TooShortError
from tests.store.made import EPOCH_MS, delivery_record, envelope_record, keep, process_record


def chain(count, make_id=new_id, **more):
    """Ids of a chain and their records, one a second."""
    ids = []
    for _ in range(count):
        ids.append(make_id(ids[-1] if ids else None))
    records = [
        envelope_record(each, ids[at - 1] if at else "", at=at * 1000, **more)
        for at, each in enumerate(ids)
    ]
    return ids, records


def foreign(_parent):
    return str(uuid4())


def path(tree):
    """The ids from the root down, of a tree without branches."""
    found, current = [], tree["root"]
    while True:
        found.append(current["id"])
        if not current["children"]:
            return found
        (current,) = current["children"]


@pytest.mark.parametrize("make_id", [new_id, foreign], ids=["otelope ids", "uuid4"])
def test_any_id_finds_the_whole_tree(store, make_id):
    ids, records = chain(6, make_id)
    keep(store, *records)

    for each in ids:
        assert path(questions.tree(store, each)) == ids
        assert path(questions.tree(store, each.upper())) == ids
        assert path(questions.tree(store, each.replace("-", ""))) == ids


def test_what_an_envelope_caused_is_looked_up_without_a_walk_through_all_traces(store):
    ids, records = chain(6, foreign)
    keep(store, *records)
    plan = store._engine.read(
        "EXPLAIN indexes = 1 " + re.sub("(?m)^--.*", "", statements.query("envelopes_by_parent")),
        {"ids": literal(ids), "known": literal(["0" * 32]), "limit": literal(10)},
        "TSVRaw",
    ).decode()

    assert "Condition: true" in plan[plan.index("PrimaryKey") :]


def test_a_prefix_finds_it_and_an_ambiguous_one_lists_the_newest_first(store):
    one, two = "abcdef01-aaaa-4aaa-8aaa-000000000001", "abcdef01-aaaa-4aaa-8aaa-000000000002"
    keep(store, envelope_record(one, at=0), envelope_record(two, at=1000))
    keep(store, envelope_record("ORDER-77", at=2000))

    assert questions.tree(store, "ORDER-")["root"]["id"] == "ORDER-77"
    assert questions.tree(store, two[:-1] + "2")["root"]["id"] == two
    for prefix in ("abcdef", "ABCDEF01", "abcdef01aaaa4", "abcdef01-aaaa-"):
        found = questions.tree(store, prefix)
        assert isinstance(found, Candidates)
        assert [each["id"] for each in found.candidates] == [two, one]
        assert found.candidates[0] == {
            "id": two,
            "type": "OrderPlaced",
            "timestamp": EPOCH_MS + 1000,
            "source": {"name": "orders", "version": "1.0"},
        }


def test_the_beginning_that_the_ids_of_a_chain_share_names_their_tree(store):
    ids, records = chain(30)
    keep(store, *records)

    for length in (6, 8, 16, 18):
        assert path(questions.tree(store, ids[0][:length])) == ids

    # Two roots of one trace stay a question.
    second = new_id(ids[0])
    keep(store, envelope_record(second, at=99_000))
    assert {each["id"] for each in questions.tree(store, ids[0][:8]).candidates} == {
        ids[0],
        second,
    }


def test_an_unknown_id_is_none_and_a_short_one_is_refused(store):
    assert questions.tree(store, new_id()) is None
    assert questions.tree(store, "abcdef") is None
    with pytest.raises(TooShortError, match="6 characters"):
        questions.tree(store, "abcde")


def test_a_short_id_that_is_whole_is_found(store):
    keep(store, envelope_record("7"))

    assert questions.tree(store, "7")["root"]["id"] == "7"


def test_a_trace_id_finds_its_tree_or_lists_its_roots(store):
    ids, records = chain(3)
    keep(store, *records)
    shared = 0xABC0 << 100
    keep(store, *(envelope_record(each, trace_id=shared) for each in ("root-1", "root-2")))

    found = questions.tree(store, f"{identify(ids[0]).trace_id:032x}")
    assert path(found) == ids
    assert found["trace_ids"] == [f"{identify(ids[0]).trace_id:032x}"]
    roots = questions.tree(store, f"{shared:032x}")
    assert {each["id"] for each in roots.candidates} == {"root-1", "root-2"}
    assert questions.tree(store, "f" * 32) is None


def test_a_trace_that_only_handled_an_envelope_finds_it(store):
    envelope_id = foreign(None)
    record = delivery_record(envelope_id)
    record.trace_id = b"\x0a" * 16
    keep(store, envelope_record(envelope_id), record)

    assert questions.tree(store, "0a" * 16)["root"]["id"] == envelope_id


def test_a_tree_has_branches_lags_and_deliveries(store):
    root = new_id()
    left, right = new_id(root), new_id(root)
    keep(
        store,
        envelope_record(root, type="PlaceOrder"),
        envelope_record(right, root, at=30),
        envelope_record(left, root, at=20, **{semconv.PARENT_LAG_MS: 19.5}),
        delivery_record(root, span=1, at=5),
        delivery_record(
            root,
            span=2,
            at=1,
            outcome="error",
            **{
                semconv.ERROR_TYPE: "CardDeclined",
                semconv.DELIVERY_ATTEMPT: 2,
                semconv.DELIVERY_REDELIVERED: True,
            },
        ),
    )

    tree = questions.tree(store, left)

    assert tree["counts"] == {"envelopes": 3, "deliveries": 2, "failed": 1}
    assert [child["id"] for child in tree["root"]["children"]] == [left, right]
    assert [child["lag_ms"] for child in tree["root"]["children"]] == [19.5, 30]
    failed, fine = tree["root"]["deliveries"]
    assert failed == {
        "service": "payments",
        "version": "2.1",
        "channel": "orders.events",
        "outcome": "error",
        "error_type": "CardDeclined",
        "started": EPOCH_MS + 1,
        "duration_ms": 3.5,
        "lag_ms": 12.25,
        "attempt": 2,
        "redelivered": True,
        "trace_id": f"{identify(root).trace_id:032x}",
        "span_id": f"{2:016x}",
        "broker_ms": 1,
        "duplicate": False,
    }
    assert fine["attempt"] is None
    assert fine["redelivered"] is None
    assert {key: tree["root"][key] for key in ("type", "kind", "kind_inferred", "channel")} == {
        "type": "PlaceOrder",
        "kind": "event",
        "kind_inferred": True,
        "channel": "orders.events",
    }


def test_a_parent_that_nobody_recorded_is_a_missing_root(store):
    lost = new_id()
    children = [new_id(lost), new_id(lost)]
    keep(store, *(envelope_record(each, lost, at=at) for at, each in enumerate(children)))

    tree = questions.tree(store, children[1])

    assert tree["root"]["id"] == lost
    assert tree["root"]["missing"] is True
    assert [child["id"] for child in tree["root"]["children"]] == children
    assert tree["root"]["children"][0]["lag_ms"] is None
    assert tree["counts"]["envelopes"] == 2


@pytest.mark.parametrize("make_id", [new_id, foreign], ids=["otelope ids", "uuid4"])
def test_parents_in_a_circle_come_to_an_end(store, make_id):
    a = make_id(None)
    b = make_id(a)
    c = make_id(b)
    keep(store, envelope_record(a, c), envelope_record(b, a, at=1), envelope_record(c, b, at=2))
    keep(store, envelope_record("it-is-its-own-parent", "it-is-its-own-parent"))

    assert path(questions.tree(store, b)) == [a, b, c]
    assert path(questions.tree(store, "it-is-its-own-parent")) == ["it-is-its-own-parent"]


@pytest.mark.slow
def test_a_chain_of_10_000_that_each_have_a_trace_of_their_own(store):
    ids, records = chain(10_000, foreign)
    keep(store, *records)

    for asked in (ids[0], ids[-1]):
        tree = questions.tree(store, asked)
        assert path(tree) == ids
        assert tree["truncated"] is False


def test_a_tree_beyond_the_limit_says_so(store):
    ids, records = chain(12)
    keep(store, *records)

    assert questions.tree(store, ids[0], limit=5)["truncated"] is True
    assert questions.tree(store, ids[0], limit=12)["truncated"] is False


def test_what_arrives_twice_counts_once(store):
    ids, records = chain(3)
    deliveries = [delivery_record(ids[0], span=7)]
    keep(store, *records, *deliveries, token="first")
    keep(store, *records, *deliveries, token="another block, the same records")

    tree = questions.tree(store, ids[1])

    assert tree["counts"] == {"envelopes": 3, "deliveries": 1, "failed": 0}
    assert len(questions.find(store)) == 3
    assert sum(each["count"] for each in questions.interactions(store)) == 3


def test_the_same_block_is_committed_once(store):
    _, records = chain(3)
    for _ in range(3):
        keep(store, *records, token="the block")

    assert {name: table["rows"] for name, table in questions.health(store).items()} == {
        "otel_logs": 3,
        "envelopes": 3,
        "interactions": 1,
        "deliveries": 3,
        "contracts": 1,
        "otel_traces": 0,
        "processes": 0,
        "schema_version": 1,
    }


@pytest.mark.parametrize("order", [1, -1], ids=["receiver first", "sender first"])
@pytest.mark.parametrize("elsewhere", [None, 0xF0 << 96], ids=["same trace", "another trace"])
def test_the_senders_record_wins(store, order, elsewhere):
    parent, child = new_id(), str(uuid4())
    keep(store, envelope_record(parent))
    records = [
        envelope_record(child, type="Guessed", recorded_by="receiver", trace_id=elsewhere),
        envelope_record(child, parent, type="Known", at=5, recorded_by="sender"),
    ]
    for record in records[::order]:
        keep(store, record)

    tree = questions.tree(store, child)

    assert path(tree) == [parent, child]
    assert tree["root"]["children"][0]["type"] == "Known"
    assert questions.envelope(store, child)["type"] == "Known"


def test_find_filters(store):
    keep(
        store,
        envelope_record("alpha-1", type="A", at=1000, source="one", channel="x", note="Grün"),
        envelope_record("beta-2", type="B", at=2000, source="two", channel="y"),
        envelope_record("gamma-3", type="B", at=3000, source="two", channel="x"),
        delivery_record("beta-2", at=2500, outcome="error"),
    )

    def found(**filters):
        return [each["id"] for each in questions.find(store, **filters)]

    assert found() == ["gamma-3", "beta-2", "alpha-1"]
    assert found(type="B") == ["gamma-3", "beta-2"]
    assert found(source="one") == ["alpha-1"]
    assert found(channel="x", type="B") == ["gamma-3"]
    assert found(since=EPOCH_MS + 1500) == ["gamma-3", "beta-2"]
    assert found(until=EPOCH_MS + 1500) == ["alpha-1"]
    assert found(failed=True) == ["beta-2"]
    assert found(failed=False) == ["gamma-3", "alpha-1"]
    assert found(text="ALPHA-1") == ["alpha-1"]
    assert found(limit=1) == ["gamma-3"]
    assert found(type="'; DROP TABLE envelopes --") == []
    assert questions.find(store, failed=True)[0]["failed"] is True


@pytest.mark.parametrize("text", ["it's", "a\\b", "tab\tnew\nline", "ü😀", '"{}[]"', "%_?"])
def test_ids_of_any_text(store, text):
    child = f"child of {text}"
    keep(store, envelope_record(text), envelope_record(child, text), delivery_record(text))

    tree = questions.tree(store, child)

    assert path(tree) == [text, child]
    assert tree["counts"]["deliveries"] == 1
    assert questions.find(store, text=json.dumps(text)[1:-1].replace("\\", "\\"))


def test_the_tail_goes_on_where_it_ended(store):
    keep(store, envelope_record("first"), delivery_record("first"))
    start = questions.tail(store)
    assert [each["id"] for each in start.items] == ["first"]
    assert questions.tail(store, start.cursor).items == []

    keep(store, envelope_record("second"), envelope_record("third"))
    keep(store, delivery_record("second", outcome="error"))
    page, seen = questions.tail(store, start.cursor, limit=1), []
    while page.items:
        seen += [(each["what"], each["id"]) for each in page.items]
        page = questions.tail(store, page.cursor, limit=1)

    assert seen == [("envelope", "second"), ("failure", "second"), ("envelope", "third")]
    with pytest.raises(ValueError, match="no cursor"):
        questions.tail(store, "yesterday")


def test_a_tail_without_cursor_begins_with_the_last_few_of_a_block(store):
    _, records = chain(200)
    keep(store, *records)

    assert len(questions.tail(store, last=3).items) == 3


def test_processes_say_their_latest_state(store):
    instance = {"service.instance.id": "i-1"}
    keep(store, process_record(at=0, counters={"seen": 1}), **instance)
    keep(store, process_record(at=9, counters={"seen": 5}), **instance)
    # Two workers of one service, which have no other name; of one the resource says who it is.
    keep(store, process_record(at=5, pid=1), service="orders")
    of_resource = process_record(at=4)
    del of_resource.attributes[:]
    keep(store, of_resource, service="orders", **{"process.pid": "2"})

    assert questions.processes(store) == [
        {
            "service": "payments",
            "version": "2.1",
            "instance": "i-1",
            "pid": 4711,
            "last_seen": EPOCH_MS + 9,
            "status": {"counters": {"seen": 5}},
        },
        {
            "service": "orders",
            "version": "2.1",
            "instance": "",
            "pid": 1,
            "last_seen": EPOCH_MS + 5,
            "status": {},
        },
        {
            "service": "orders",
            "version": "2.1",
            "instance": "",
            "pid": 2,
            "last_seen": EPOCH_MS + 4,
            "status": {},
        },
    ]


def test_an_envelope_has_its_body(store):
    keep(store, envelope_record("whole-1", note="kept"))

    found = questions.envelope(store, "whole-1")

    assert json.loads(found["body"])["payload"] == {"note": "kept"}
    assert found["service"] == "payments"
    assert questions.envelope(store, "whole") is None


def test_interactions_are_counted_by_parent(store):
    cause = {semconv.PARENT_TYPE: "PlaceOrder", semconv.PARENT_SOURCE: "web"}
    keep(store, *(envelope_record(f"id-{at}", f"p-{at}", at=at, **cause) for at in range(3)))

    assert questions.interactions(store) == [
        {
            "parent_source": "web",
            "source": "orders",
            "parent_type": "PlaceOrder",
            "type": "OrderPlaced",
            "channel": "orders.events",
            "count": 3,
            "last": EPOCH_MS + 2,
        }
    ]
