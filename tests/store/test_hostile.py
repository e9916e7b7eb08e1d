"""What a stranger may send: no row keeps others out, and none makes a question fail."""

from __future__ import annotations

import struct

from itertools import count

import pytest

from hypothesis import example, given, settings
from hypothesis import strategies as st

from otelope.model import semconv
from otelope.model.identity import new_id
from otelope.store import contracts, open_store, questions
from otelope.store.rowbinary import length
from tests.store.made import envelope_record, keep


NUMBERS = ("inf", "-inf", "nan", "1e400", "-1e300", "1e18", "-1e12", "9e999", "0x1p9", "1e-400")
ODD = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"[", b"{", b'{"payload":', b'{"payload":1e400}',
    b'{"\xff":{"\xff":1}}', b'{"payload":' * 3000, b"[" * 100_000, b'{"data":"' + b"x" * 1_000_000,
    b'["' + b"x" * 300_000 + b'"]', b'[null,{},[[]],1e400,"\xff"]', b"null", b"true", b"'\\'",
    b'{"payload":{' + b",".join(b'"%d":1' % number for number in range(5000)) + b"}}",
)  # fmt: skip
TEXTS = st.sampled_from([*(text.encode() for text in NUMBERS), *ODD]) | st.binary(max_size=40)
# 1677, 1969, 1970, 2106 where 32 bits of seconds end, 2262, and anything between.
MOMENTS = (-(1 << 63), -1, 0, (1 << 32) * 1_000_000_000, (1 << 63) - 1)
KEYS = sorted(value for name, value in vars(semconv).items() if name.isupper())
EVENTS = (semconv.ENVELOPE_EVENT, semconv.DELIVERY_EVENT, semconv.PROCESS_EVENT)

rows = st.fixed_dictionaries(
    {
        "event": st.sampled_from(EVENTS),
        "moment": st.sampled_from(MOMENTS) | st.integers(-(1 << 63), (1 << 63) - 1),
        "body": TEXTS,
        "trace": st.just(b"ab" * 16) | TEXTS,
        "attributes": st.dictionaries(st.sampled_from(KEYS), TEXTS, max_size=12),
        "recorded_by": st.sampled_from([b"sender", b"maker", b"receiver"]),
    }
)
numbers = count(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with open_store(str(tmp_path_factory.mktemp("hostile"))) as opened:
        yield opened


def text(data):
    return length(len(data)) + data


def pairs(found):
    return length(len(found)) + b"".join(text(k.encode()) + text(v) for k, v in found.items())


def row_of(tag, *, event, moment, body, trace, attributes, recorded_by):
    own = attributes.get(semconv.ENVELOPE_ID, b"")[:1000] + tag
    named = {**attributes, semconv.ENVELOPE_ID: own, semconv.RECORDED_BY: recorded_by}
    return b"".join(
        (
            struct.pack("<q", moment),
            text(trace), text(trace), b"\1", text(b""), b"\0", text(trace), text(body),
            text(b""), pairs(attributes), text(b""), text(semconv.SCOPE.encode()), text(b""),
            pairs({}), pairs(named), text(event.encode()),
        )
    )  # fmt: skip


def stored(store, table, tag):
    column = "envelope_id" if table == "deliveries" else "id"
    statement = f"SELECT uniqExact({column}) FROM {table} WHERE endsWith({column}, {{tag:String}})"  # noqa: S608 - our own
    return int(store._engine.read(statement, {"tag": tag}, "TSV"))


LAG = {semconv.SEND_LAG_MS: b"inf", semconv.DELIVERY_DURATION_MS: b"nan"}
PLAIN = {"moment": MOMENTS[-1], "body": b"{}", "trace": b"", "recorded_by": b"sender"}


@settings(max_examples=25, deadline=None)
@given(st.lists(rows, min_size=1, max_size=20))
@example([{**PLAIN, "event": semconv.ENVELOPE_EVENT, "attributes": LAG}])
@example([{**PLAIN, "event": semconv.ENVELOPE_EVENT, "attributes": {semconv.SEND_LAG_MS: b"1"}}])
@example([{**PLAIN, "event": semconv.DELIVERY_EVENT, "attributes": LAG}])
def test_whatever_comes_is_stored_and_the_good_is_found(store, made):
    tag = f"tag{next(numbers)}."
    good = new_id()
    before = questions.health(store)["otel_logs"]["rows"]
    data = b"".join(row_of(f"{tag}{n}{tag}".encode(), **row) for n, row in enumerate(made))

    store.ingest("otel_logs", data, tag)
    keep(store, envelope_record(good, type=tag))

    assert questions.health(store)["otel_logs"]["rows"] == before + len(made) + 1
    of = [row["event"] for row in made]
    sent = sum(row["recorded_by"] == b"sender" for row in made if row["event"] == EVENTS[0])
    assert stored(store, "envelopes", tag) == of.count(semconv.ENVELOPE_EVENT)
    assert stored(store, "deliveries", tag) == of.count(semconv.DELIVERY_EVENT) + sent
    assert questions.tree(store, good)["counts"]["envelopes"] == 1
    assert [each["id"] for each in questions.find(store, type=tag)] == [good]


def ours(envelopes):
    """Those of the next test: what the one above left in the store is others'."""
    return [each["id"] for each in envelopes if f"{semconv.ENVELOPE_EVENT} of " in each["id"]]


def test_questions_are_answered_whatever_is_stored(store):
    texts = [*(text.encode() for text in NUMBERS), *(odd for odd in ODD if len(odd) < 100)]
    made = [
        row_of(b"%s of %d at %d" % (event.encode(), number, moment), event=event, moment=moment,
               body=body, trace=own, attributes=dict.fromkeys(KEYS, own), recorded_by=b"sender")
        for number, (own, body) in enumerate(zip(texts, ODD, strict=False))
        for moment in MOMENTS
        for event in EVENTS
    ]  # fmt: skip
    store.ingest("otel_logs", b"".join(made), "all of it")

    found = questions.find(store, limit=10_000)
    assert len(ours(found)) == len(made) / 3
    for failed in (True, False):
        questions.find(store, failed=failed, text="X")
    questions.find(store, stuck=True)
    page = questions.tail(store, limit=10_000, last=10_000)
    assert len(ours(each for each in page.items if each["what"] == "envelope")) == len(made) / 3
    questions.tail(store, page.cursor)
    named = [each["id"] for each in found if each["id"].isascii() and each["id"].isprintable()]
    for each in named[:50]:
        assert questions.tree(store, each)
        assert questions.envelope(store, each)
    assert questions.processes(store)
    assert questions.interactions(store)
    assert contracts.contracts(store)
    (clock,) = store.ask("stitch_clock")[0]
    store.ask("stitch_cuts", since=0, until=int(clock), limit=10_000)


def test_the_answers_are_text(store):
    keep(store, envelope_record(new_id(), type="plain"))
    odd = {semconv.ENVELOPE_TYPE: b"odd\xff"}
    data = row_of(b"odd-id", event=EVENTS[0], moment=1, body=b"\xff{", trace=b"\xfe",
                  attributes=odd, recorded_by=b"maker")  # fmt: skip
    store.ingest("otel_logs", data, "odd")

    known = questions.envelope(store, "odd-id")

    assert (known["type"], known["body"]) == ("odd\ufffd", "\ufffd{")
