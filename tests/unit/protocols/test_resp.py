"""What Redis's commands and answers say of messages, whatever the client."""

from __future__ import annotations

import pytest

from otelope.core.carriers import FIELDS
from otelope.core.message import Message
from otelope.protocols.resp import (
    added,
    at_work,
    bodies,
    entries,
    entry,
    errors_of,
    keys,
    put,
    sent,
    stamped,
    taken,
)


BODY = b'{"id": "7"}'
FOUND = (b"1-0", {b"order": BODY})
OTHER = (b"2-0", {b"order": b"plain"})


@pytest.mark.parametrize(
    "answer",
    [
        [[b"orders", [FOUND, OTHER]]],
        {b"orders": [FOUND, OTHER]},
        {b"orders": [[FOUND, OTHER]]},
        {"orders": [[FOUND], [OTHER]]},
    ],
    ids=["RESP2", "RESP3", "RESP3 of redis-py", "text"],
)
def test_entries_of_every_form_of_answer(answer):
    assert list(entries(answer, None, "workers", redelivered=False)) == [
        Message("orders", BODY, FOUND[1], redelivered=False, receipt=("orders", "workers", "1-0")),
        Message("orders", None, OTHER[1], redelivered=False, receipt=("orders", "workers", "2-0")),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        [FOUND],
        [b"0-0", [FOUND], [b"3-0"]],
        [b"0-0", [FOUND, (b"4-0", None), (None, None)], []],
        [(*FOUND, 1_000, 2)],
    ],
    ids=["XCLAIM", "XAUTOCLAIM", "deleted meanwhile", "with the times it was delivered"],
)
def test_entries_of_a_stream_that_the_answer_does_not_name(answer):
    assert list(entries(answer, "orders", "workers")) == [
        Message("orders", BODY, FOUND[1], receipt=("orders", "workers", "1-0"))
    ]


@pytest.mark.parametrize("answer", [None, [], {}, [b"1-0", b"2-0"], [b"0-0", [b"1-0"]], object()])
def test_answers_without_entries_have_none(answer):
    assert list(entries(answer, "orders")) == []


def test_entry_that_nobody_acknowledges_has_no_receipt():
    (message,) = entries([["orders", [FOUND]]])
    assert message == Message("orders", BODY, FOUND[1])


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["NOMKSTREAM"],
        [b"NOMKSTREAM", b"MAXLEN", b"~", "5"],
        ["MAXLEN", 5],
        ["maxlen", "=", 5],
        ["MINID", "~", "1-0", "LIMIT", 3],
        ["KEEPREF", "IDMPAUTO", "p"],
        ["IDMP", "p", "i", "MAXLEN", "5"],
    ],
    ids=str,
)
@pytest.mark.parametrize("id_", ["*", b"*", "1-*", 7])
def test_fields_begin_behind_the_id(options, id_):
    words = ("XADD", "orders", *options, id_, "order", BODY, "x", 1)
    commands = [(("SET", "a", 1), {}), (words, {"o": 1})]
    ((place, message),) = added(commands)
    assert (place, message) == (1, Message("orders", BODY, {"order": BODY, "x": 1}))
    call = {"commands": commands}
    stamped(call, [{"order": BODY, "x": 1, "tracestate": "t"}])
    assert call["commands"] == [commands[0], ((*words, "tracestate", "t"), {"o": 1})]
    assert commands[1] == (words, {"o": 1})


def test_what_is_put_and_published():
    commands = [(("RPUSH", "a", b"1", b"2"), {}), (("GET", "a"), {}), (("PUBLISH", "c", "3"), {})]
    assert list(put(commands)) == [
        (0, Message("a", b"1")),
        (0, Message("a", b"2")),
        (2, Message("c", "3")),
    ]


def test_what_is_taken_out_says_its_list_or_is_told():
    assert taken((b"a", b"1")) == taken([b"a", [b"1"]]) == taken(b"1", "a") == bodies("a", b"1")
    assert taken([b"1", b"2"], b"a") == bodies("a", b"1", b"2")
    assert taken(None) == taken(b"ab") == taken([]) == []
    assert at_work("a", b"b", b"1") == [Message("a", b"1", receipt=("b", b"1"))]


def test_keys_are_text_however_they_are_given():
    assert keys("a") == keys(b"a") == keys(["a"]) == keys((b"a",)) == keys({"a": ">"}) == ["a"]
    assert keys(memoryview(b"a")) == ["a"]


def test_an_error_among_the_answers_is_that_of_all_its_command_put():
    call = {"commands": [(("GET", "a"), {}), (("RPUSH", "a", 1, 2), {}), (("RPUSH", "b", 3), {})]}
    assert [message.channel for message in sent(put)(call)] == ["a", "a", "b"]
    assert errors_of(put)([KeyError(), ValueError("x"), 1], call) == ["ValueError"] * 2 + [None]


class TestFields:
    @pytest.mark.parametrize("fields", [{"a": "1"}, {b"a": b"1"}], ids=["text", "bytes"])
    def test_names_are_text_or_bytes(self, fields):
        assert (FIELDS.get(fields, "a"), FIELDS.get(fields, "b")) == ("1", None)
        assert list(FIELDS.keys(fields)) == ["a"]
        written = FIELDS.written(fields, {"a": "2", "b": "3"})
        assert written == {"a": "2", "b": "3"}
        assert len(fields) == 1

    @pytest.mark.parametrize(
        "name", ["type", b"event_type", "eventType", "ce_type", "messageType"]
    )
    def test_metadata_get_no_more_fields(self, name):
        fields = {name: "OrderPlaced", "id": "7"}
        assert FIELDS.written(fields, {"traceparent": "x"}) is fields

    @pytest.mark.parametrize("name", ["content_type", "contentType", "content-type", b"typed"])
    def test_what_stands_beside_a_body_is_no_metadata(self, name):
        assert "traceparent" in FIELDS.written({name: "1"}, {"traceparent": "x"})

    def test_the_body_is_the_first_that_looks_like_an_object(self):
        assert entry("a", {"n": 1, "t": "text", "o": BODY, "p": "{}"}).body == BODY
        assert entry("a", {"n": 1, "t": "text"}).body is None
        assert entry(None, {"o": "{}"}).channel is None
