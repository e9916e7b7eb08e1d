"""What left, by type: what senders told under a contract, and what the bodies say elsewhere."""

from __future__ import annotations

import json

import pytest

from otelope.model import semconv
from otelope.store.contracts import contracts
from tests.store.made import EPOCH_MS, delivery_record, envelope_record, keep


HOUR = 3_600_000


def told(declared, left):
    return {
        semconv.CONTRACT_DECLARED: json.dumps(declared),
        semconv.CONTRACT_LEFT: json.dumps(left),
    }


def with_body(envelope_id, body, **more):
    record = envelope_record(envelope_id, **more)
    record.body.string_value = json.dumps(body)
    return record


def answer(type, envelopes, declared, left, leaked):  # noqa: A002 - the envelope's word
    return {
        "type": type, "envelopes": envelopes, "declared": declared, "left": left, "leaked": leaked,
    }  # fmt: skip


def test_what_left_under_a_contract_is_what_the_sender_says(store):
    keep(
        store,
        envelope_record("1", **told(["coupon", "orderId"], ["orderId"]), inside="the body's"),
        envelope_record("2", **told(["coupon", "orderId"], ["email", "orderId"])),
    )

    assert contracts(store) == [
        answer("OrderPlaced", 2, ["orderId", "coupon"], {"orderId": 2, "email": 1}, {"email": 1})
    ]


def test_a_contract_that_lets_nothing_out_is_one(store):
    keep(store, envelope_record("1", **told([], [])))
    assert contracts(store) == [answer("OrderPlaced", 1, [], {}, {})]

    keep(store, envelope_record("2", **told([], ["$"])))
    assert contracts(store) == [answer("OrderPlaced", 2, [], {"$": 1}, {"$": 1})]


@pytest.mark.parametrize(
    ("body", "left"),
    [
        ({"payload": {"a": 1, "b": {"c": 2}}}, ["a", "b"]),
        ({"data": {"a": None}, "specversion": "1.0"}, ["a"]),
        ({"metadata": {"id": "1"}, "body": {"a": 1}}, ["a"]),
        ({"payload": None}, []),
        ({"payload": {}}, []),
        ({"payload": [1]}, ["$"]),
        ({"payload": "text"}, ["$"]),
        ({"payloadBase64": "AAAA"}, ["$"]),
        ({"specversion": "1.0", "subject": "x"}, []),
        ({"id": "1", "type": "T", "timestamp": 1, "source": {}, "parentId": None, "a": 1}, ["a"]),
        ({"metadata": {"id": "1"}, "a": 1}, ["a"]),
        ({"payload": {"it's $x": 1, "ü": 2, "": 3}}, ["", "it's $x", "ü"]),
        ([], []),
    ],
    ids=json.dumps,
)
def test_without_one_it_is_what_the_body_holds(store, body, left):
    keep(store, with_body("1", body))

    assert contracts(store) == [answer("OrderPlaced", 1, None, dict.fromkeys(left, 1), {})]


def test_what_arrives_twice_counts_once(store):
    records = [envelope_record(each, amount=1) for each in "123"]
    keep(store, *records, token="first")
    keep(store, *records, token="another block, the same records")

    assert contracts(store) == [answer("OrderPlaced", 3, None, {"amount": 3}, {})]


def test_what_was_only_made_or_handled_did_not_leave(store):
    keep(
        store,
        envelope_record("1", recorded_by="maker", amount=1),
        delivery_record("2"),
    )

    assert contracts(store) == []


def test_without_a_contract_what_its_maker_stored_and_then_sent_left_whole(store):
    keep(store, envelope_record("1", recorded_by="maker", amount=1), delivery_record("1"))
    keep(store, delivery_record("1", span=2, **{semconv.DELIVERY_OPERATION: "send"}))
    keep(store, envelope_record("1", amount=1))

    assert contracts(store) == [answer("OrderPlaced", 1, None, {"amount": 1}, {})]


def test_under_one_what_its_maker_stored_stayed_inside(store):
    keep(store, envelope_record("1", recorded_by="maker", a=1, email="x"))
    sent = told(["a"], ["a"]) | {semconv.DELIVERY_OPERATION: "send"}
    keep(store, delivery_record("1", **sent))

    assert contracts(store) == [answer("OrderPlaced", 1, ["a"], {"a": 1}, {})]


def test_a_later_sending_under_a_contract_counts_too(store):
    keep(store, envelope_record("1", **told(["a"], ["a"])))
    sent = told(["a"], ["a", "email"]) | {semconv.DELIVERY_OPERATION: "send"}
    keep(store, delivery_record("1", **sent))

    assert contracts(store) == [
        answer("OrderPlaced", 1, ["a"], {"a": 1, "email": 1}, {"email": 1})
    ]


def test_a_process_that_does_not_know_the_contract_leaks_too(store):
    keep(store, envelope_record("1", **told(["a"], ["a"])))
    keep(store, envelope_record("2", a=1, email="x"), service="relay")

    assert contracts(store) == [
        answer("OrderPlaced", 2, ["a"], {"a": 2, "email": 1}, {"email": 1})
    ]


def test_what_leaked_before_the_contract_was_widened_is_still_told(store):
    keep(store, envelope_record("1", **told(["a"], ["a", "b"])))
    keep(store, envelope_record("2", **told(["a", "b"], ["a", "b"])))

    assert contracts(store) == [answer("OrderPlaced", 2, ["b", "a"], {"b": 2, "a": 2}, {"b": 1})]


def test_of_one_type_and_since_an_hour(store):
    keep(
        store,
        envelope_record("1", type="A", a=1),
        envelope_record("2", type="A", at=3 * HOUR, b=1),
        envelope_record("3", type="B", at=3 * HOUR, c=1),
    )

    assert [each["type"] for each in contracts(store)] == ["A", "B"]
    assert contracts(store, type="'; DROP TABLE contracts --") == []
    assert contracts(store, EPOCH_MS + 2 * HOUR, "A") == [answer("A", 1, None, {"b": 1}, {})]


def test_a_payload_whose_keys_are_data_is_cut_off(store):
    keep(store, with_body("1", {"payload": {f"{n:04}": n for n in range(1000)}}))
    keep(store, with_body("2", {"payload": {"x" * 10_000: 1}}, type="Long"))

    long, many = contracts(store)

    assert (len(many["left"]), many["envelopes"]) == (256, 1)
    assert list(long["left"]) == ["x" * 256]
