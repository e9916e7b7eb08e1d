"""What became of an envelope: stored, waited, sent, handled, handled again."""

from __future__ import annotations

import pytest

from otelope.model import semconv
from otelope.model.identity import new_id
from otelope.store import questions
from otelope.store.deliveries import STUCK_AFTER_MS, story
from tests.store.made import EPOCH_MS, delivery_record, envelope_record, keep


NOW = EPOCH_MS + 10 * STUCK_AFTER_MS


def done(operation, at, *, outcome="ok", service="orders", channel="orders.events", took=1.0):
    return {
        "service": service, "version": "1", "channel": channel, "outcome": outcome,
        "error_type": None, "started": EPOCH_MS + at, "duration_ms": took, "lag_ms": None,
        "attempt": None, "redelivered": None, "trace_id": "", "span_id": "",
        "operation": operation,
    }  # fmt: skip


def test_the_time_in_the_outbox_is_told_apart_from_that_in_the_broker():
    told = story([done("process", 5_000), done("send", 3_001), done("outbox", 0)], NOW)

    assert (told["outbox_ms"], told["stuck"]) == (3_000, False)
    assert told["deliveries"][0]["broker_ms"] == 1_999
    assert [store["outbox"] for store in told["stores"]] == [True]


@pytest.mark.parametrize(
    ("rows", "stuck"),
    [
        ([done("outbox", 0)], True),
        ([done("outbox", 0), done("send", 1, outcome="error")], True),
        ([done("outbox", 0), done("send", 1)], False),
        ([done("outbox", 0), done("process", 1)], False),
        ([done("outbox", 0, outcome="error")], False),
        ([done("store", 0)], False),
        ([], False),
    ],
)
def test_what_waits_in_an_outbox_for_a_minute_is_stuck(rows, stuck):
    assert story([dict(row) for row in rows], NOW)["stuck"] is stuck
    assert story([dict(row) for row in rows], EPOCH_MS + STUCK_AFTER_MS)["stuck"] is False


def test_the_time_in_the_broker_is_that_of_the_channel():
    rows = [
        done("send", 0, channel="kafka"),
        done("send", 5, channel="rabbitmq"),
        done("process", 6, channel="kafka"),
        done("process", 7, channel="bridge"),
    ]

    assert [row["broker_ms"] for row in story(rows, NOW)["deliveries"]] == [6, 2]


def test_an_envelope_that_is_stored_and_sent_from_elsewhere_was_both(store):
    own = new_id()
    keep(store, envelope_record(own))
    span = int(questions.tree(store, own)["root"]["span_id"], 16)
    keep(store, delivery_record(own, span=span, **{semconv.DELIVERY_OPERATION: "store"}))

    root = questions.tree(store, own)["root"]

    assert (len(root["stores"]), len(root["sends"])) == (1, 1)


def test_a_consumer_that_two_channels_reach_handles_a_duplicate():
    rows = [
        done("process", 1, service="billing", channel="kafka"),
        done("process", 2, service="billing", channel="rabbitmq"),
        done("process", 3, service="search", channel="rabbitmq"),
    ]

    assert [row["duplicate"] for row in story(rows, NOW)["deliveries"]] == [False, True, False]


def test_a_retry_after_a_failure_is_no_duplicate():
    rows = [done("process", 1, outcome="error"), done("process", 2), done("process", 3)]

    assert [row["duplicate"] for row in story(rows, NOW)["deliveries"]] == [False, False, True]


def test_one_event_over_three_channels_is_one_envelope(store):
    own = new_id()
    again = {semconv.DELIVERY_OPERATION: "send"}
    keep(
        store,
        envelope_record(own, channel="kafka", **{semconv.SEND_LAG_MS: 1.5}),
        delivery_record(own, span=11, at=2, **again, **{semconv.ENVELOPE_CHANNEL: "rabbitmq"}),
        delivery_record(own, span=12, at=3, **again, **{semconv.ENVELOPE_CHANNEL: "nats"}),
        delivery_record(own, span=13, at=4),
        delivery_record(own, span=14, at=5),
    )

    tree = questions.tree(store, own)

    assert tree["counts"] == {"envelopes": 1, "deliveries": 2, "failed": 0}
    sends = [(send["channel"], send["started"]) for send in tree["root"]["sends"]]
    assert sends == [
        ("kafka", EPOCH_MS + 1.5),
        ("rabbitmq", EPOCH_MS + 2),
        ("nats", EPOCH_MS + 3),
    ]
    assert [each["duplicate"] for each in tree["root"]["deliveries"]] == [False, True]


def test_of_two_words_on_one_sending_the_failure_counts(store):
    own = new_id()
    keep(store, envelope_record(own))
    sent = int(questions.tree(store, own)["root"]["span_id"], 16)
    failed = {semconv.DELIVERY_OPERATION: "send", semconv.ERROR_TYPE: "BufferError"}
    keep(store, delivery_record(own, span=sent, outcome="error", **failed))

    (send,) = questions.tree(store, own)["root"]["sends"]

    assert (send["outcome"], send["error_type"]) == ("error", "BufferError")


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_records_that_of_the_maker_is_shown(store, order):
    own = new_id()
    for recorded_by in ("receiver", "maker", "sender")[::order]:
        keep(store, envelope_record(own, recorded_by=recorded_by, known_by=recorded_by))

    assert '"known_by": "maker"' in questions.envelope(store, own)["body"]
    assert len(questions.find(store)) == 1


def test_what_is_stuck_is_found(store):
    stuck, sent, rolled_back, handled, stored, refused = (new_id() for _ in range(6))
    outbox = {semconv.DELIVERY_OPERATION: "outbox"}
    send = {semconv.DELIVERY_OPERATION: "send"}
    keep(
        store,
        *(
            envelope_record(each, recorded_by="maker")
            for each in (stuck, sent, rolled_back, handled, stored)
        ),
        *(delivery_record(each, span=21, **outbox) for each in (stuck, sent, handled)),
        delivery_record(stuck, span=22, outcome="error", **send),
        delivery_record(sent, span=22, at=9, **send),
        delivery_record(rolled_back, span=21, outcome="error", **outbox),
        delivery_record(handled, span=22, at=9),
        delivery_record(stored, span=21, **{semconv.DELIVERY_OPERATION: "store"}),
    )
    keep(store, envelope_record(refused), delivery_record(refused, span=21, **outbox))
    own = int(questions.tree(store, refused)["root"]["span_id"], 16)
    keep(store, delivery_record(refused, span=own, outcome="error", **send))

    assert {each["id"] for each in questions.find(store, stuck=True)} == {stuck, refused}
    assert len(questions.find(store)) == 6
