from __future__ import annotations

import datetime as dt
import json
import tracemalloc

from typing import Any

import pytest

from otelope.codecs import Codecs
from otelope.core.carriers import HTTP, MAPPING, PAIRS
from otelope.model.envelope import Source
from tests.unit.codecs.messages import (
    ID,
    LIMIT,
    METADATA,
    NOW,
    PARENT,
    PAYLOAD,
    encoded,
    json_envelope,
    recognised,
)


TOP = {**METADATA, "payload": PAYLOAD}
PLACES = {
    "top level": TOP,
    "metadata": {"metadata": METADATA, "payload": PAYLOAD},
    "meta": {"meta": METADATA, "data": PAYLOAD},
    "envelope": {"envelope": METADATA, "body": PAYLOAD},
    "envelope, all inside": {"envelope": TOP},
    "envelope, then the rest": {"envelope": METADATA, **PAYLOAD},
    "top level, then the rest": {**METADATA, **PAYLOAD},
}


@pytest.mark.parametrize("document", PLACES.values(), ids=PLACES)
def test_metadata_stand_in_any_of_the_places(document: Any) -> None:
    body = encoded(document)

    assert recognised(body) == json_envelope(body)


@pytest.mark.parametrize("carrier", [PAIRS, MAPPING, HTTP])
def test_headers_that_say_nothing_do_not_matter(carrier: Any) -> None:
    body = encoded(TOP)
    headers = [(b"accept", b"*/*"), (b"x", b"\xff")] if carrier is HTTP else {"n": 1, "t": b"\xff"}

    assert recognised(body, headers, {"message_id": None}, carrier) == json_envelope(body)


@pytest.mark.parametrize("shape", [bytes, bytearray, memoryview, bytes.decode])
def test_bodies_may_be_bytes_in_any_form_or_text(shape: Any) -> None:
    body = encoded(TOP)
    envelope = recognised(shape(body))

    assert envelope == json_envelope(body)
    assert envelope is not None
    assert type(envelope.text) is bytes


def test_the_text_is_the_body_itself() -> None:
    body = encoded(TOP)
    envelope = recognised(body)

    assert envelope is not None
    assert envelope.text is body


def test_white_space_around_is_harmless() -> None:
    body = b"\r\n\t " + json.dumps(TOP, indent=4).encode() + b"\n"

    assert recognised(body) == json_envelope(body)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"channel": "orders.placed"}, {"channel": "orders.placed"}),
        ({"channel": 5}, {}),
        ({"channel": "x" * 1025}, {}),
        ({"kind": "Command"}, {"kind": "command"}),
        ({"kind": "event"}, {"kind": "event"}),
        ({"kind": "query"}, {}),
        ({"kind": {"name": "event"}}, {}),
        ({"source": "orders"}, {"source": Source("orders")}),
        ({"source": {"name": "orders"}}, {"source": Source("orders")}),
        ({"source": {"name": "o", "version": 2}}, {"source": Source("o", "2")}),
        ({"source": {"name": "o", "version": 1.5}}, {"source": Source("o", "1.5")}),
        ({"source": {"name": "o", "version": True}}, {"source": Source("o")}),
        ({"source": {"name": "o", "version": "a\nb"}}, {"source": Source("o")}),
        ({"source": {"name": "o", "version": "v" * 1025}}, {"source": Source("o")}),
        ({"source": {"name": "o", "more": [1]}}, {"source": Source("o")}),
        ({"source": {"name": 5}}, {"source": Source()}),
        ({"source": None}, {"source": Source()}),
        ({"source": 5}, {"source": Source()}),
        ({"source": ""}, {"source": Source()}),
        ({"source": "s" * 1025}, {"source": Source()}),
        ({"source": {"name": "s" * 1025}}, {"source": Source()}),
        ({"parentId": None}, {"parent_id": None}),
        ({"parentId": ""}, {"parent_id": None}),
        ({"parentId": ID.upper()}, {"parent_id": None}),
        ({"parentId": "00000000-0000-0000-0000-000000000000"}, {"parent_id": None}),
        ({"parentId": 17}, {"parent_id": "17"}),
        ({"parentId": None, "source": None}, {"parent_id": None, "source": Source()}),
        ({"parentId": "01JD7Q3ZK4T8"}, {"parent_id": "01JD7Q3ZK4T8"}),
        ({"parentId": PARENT.upper()}, {"parent_id": PARENT}),
        ({"id": "urn:uuid:" + ID}, {}),
        ({"id": "{" + ID.replace("-", "") + "}"}, {}),
        ({"id": 17}, {"id": "17"}),
        ({"id": -17}, {"id": "-17"}),
        ({"id": 10**200}, {"id": "1" + "0" * 200}),
        ({"id": "i" * 256}, {"id": "i" * 256}),
        ({"id": "öre:5 €"}, {"id": "öre:5 €"}),
        ({"id": "a\u200bb"}, {"id": "a\u200bb"}),
        ({"type": "t" * 256}, {"type": "t" * 256}),
        ({"timestamp": 1_763_900_000}, {"timestamp": 1_763_900_000_000}),
        ({"timestamp": "1763900000123"}, {}),
        ({"timestamp": "2025-11-23T12:13:20.123Z"}, {}),
    ],
)
def test_what_values_are_read_as(change: dict[str, Any], result: dict[str, Any]) -> None:
    body = encoded({**TOP, **change})

    assert recognised(body) == json_envelope(body, **result)


@pytest.mark.parametrize("place", [None, "metadata", "meta", "envelope"])
@pytest.mark.parametrize(
    "change",
    [
        *(
            {name: value}
            for name in ("id", "type")
            for value in (None, "", " ", True, 1.5, [], {})
        ),
        {"id": "x" * 257},
        {"id": 10**256},
        {"id": "a\nb"},
        {"id": "a\x7fb"},
        {"id": "a\x85b"},
        {"id": {"name": "n", "version": "1"}},
        {"type": 5},
        {"type": "t" * 257},
        {"type": "Order\x1b[31mPlaced"},
        *({"timestamp": v} for v in (None, "", "today", True, 0, -1, 10**400, [], {}, "nan")),
        {"timestamp": "2026-11-23T12:00:00"},
        *({"parentId": v} for v in (True, 1.5, [], {}, "x" * 257, "a\tb", 10**256)),
        {"source": []},
        {"channel": []},
        {"kind": ["event"]},
    ],
    ids=str,
)
def test_values_that_make_no_envelope(place: str | None, change: dict[str, Any]) -> None:
    metadata = {**METADATA, **change}

    assert recognised(encoded({place: metadata} if place else metadata)) is None


@pytest.mark.parametrize(
    "missing",
    [["id"], ["type"], ["timestamp"], ["source", "parentId"]],
    ids=str,
)
def test_fields_an_envelope_cannot_do_without(missing: list[str]) -> None:
    document = {name: value for name, value in TOP.items() if name not in missing}

    assert recognised(encoded(document)) is None


@pytest.mark.parametrize("missing", ["source", "parentId"])
def test_one_of_source_and_parent_is_enough(missing: str) -> None:
    document = {name: value for name, value in TOP.items() if name != missing}

    assert recognised(encoded(document)) is not None


@pytest.mark.parametrize(
    "domain",
    [
        b'"type": ["a", "list"]',
        b'"source": [1, 2]',
        b'"id": [], "parentId": [[]]',
        b'"meta": [{"id": "x"}]',
        b'"envelope": "sealed", "meta": 5',
        b'"id": 5, "type": "order", "timestamp": 1763900000',
        b'"id": ' + b"9" * 2000,  # more digits than msgspec reads
        b'"specversion": 1, "id": "5"',
    ],
    ids=lambda domain: domain[:20].decode(),
)
def test_a_domains_own_fields_do_not_hide_the_metadata_elsewhere(domain: bytes) -> None:
    body = b"{" + domain + b', "metadata": ' + encoded(METADATA) + b"}"

    assert recognised(body) == json_envelope(body)


def test_the_outer_envelope_is_the_message() -> None:
    body = encoded({**TOP, "payload": {**TOP, "id": "inner"}, "metadata": {**METADATA, "id": "m"}})

    assert recognised(body) == json_envelope(body)


def test_of_a_repeated_name_the_last_one_counts() -> None:
    body = encoded(TOP)[:-1] + b', "id": "again"}'

    assert recognised(body) == json_envelope(body, id="again")


DEEP = 100_000
HOSTILE = {
    "empty": b"",
    "white space": b" " * 100,
    "a brace": b"{",
    "truncated": encoded(TOP)[:-1],
    "followed by something": encoded(TOP) + b" {}",
    "a list": encoded([TOP]),
    "a text": encoded(json.dumps(TOP)),
    "a number": b"5",
    "byte order mark": b"\xef\xbb\xbf" + encoded(TOP),
    "utf-16": json.dumps(TOP).encode("utf-16"),
    "NaN in what is no JSON anyway": encoded({**TOP, "x": float("nan")})[:-1],
    "infinity": encoded({**TOP, "timestamp": float("inf")}),
    "lone surrogate in the id": json.dumps({**TOP, "id": "\ud800"}).encode(),
    "lone surrogate, escaped, in the payload": json.dumps({**TOP, "payload": "\udfff"}).encode(),
    "invalid UTF-8 in the id": encoded(TOP).replace(b"0ddb", b"\xff\xfe\xfd\xfc", 1),
    "invalid UTF-8 in the type": encoded(TOP).replace(b"OrderPlaced", b"Order\xc3Placed"),
    "surrogate bytes in the id": encoded({**TOP, "id": "\ud800"}),
    "control character in a string": encoded(TOP).replace(b"abc", b"a\x00c"),
    "single quotes": repr(TOP).encode(),
    "a comment": b"/**/" + encoded(TOP),
    "deep list": b'{"timestamp": 1, "x": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep object": b'{"timestamp": 1, "x": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "deep, unclosed": b'{"timestamp": 1, "metadata": ' + b'{"metadata":' * DEEP,
    "deep id": b'{"timestamp": 1, "id": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "huge number": encoded(TOP).replace(str(NOW).encode(), b"9" * 100_000),
    "huge exponent": encoded(TOP).replace(str(NOW).encode(), b"1e999999999"),
    "many names": b'{"timestamp": 1' + b"".join(b', "n%d": 1' % n for n in range(60_000)) + b"}",
    "one name often": b'{"timestamp": 1' + b', "id": "x"' * 60_000 + b"}",
    "many metadata": b'{"timestamp": 1' + b', "metadata": {"id": "x"}' * 40_000 + b"}",
    "a large list for an id": b'{"timestamp": 1, "id": [' + b"1," * 400_000 + b"1]}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies_are_no_envelopes_and_cost_little(body: bytes) -> None:
    codecs = Codecs({}, 2**20)
    recognised(encoded(TOP), codecs=codecs)
    tracemalloc.start()
    try:
        assert recognised(body, codecs=codecs) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100_000


def test_bytes_that_are_no_utf8_are_kept_where_nobody_reads_them() -> None:
    body = encoded(TOP).replace(b"abc", b"\xff\xfe")

    assert recognised(body) == json_envelope(body)


def test_a_text_body_with_a_lone_surrogate_is_kept_as_it_is() -> None:
    body = json.dumps({**TOP, "payload": "?"}).replace("?", "\ud800")

    assert recognised(body) == json_envelope(body.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("shape", [bytes, bytearray, memoryview, bytes.decode])
def test_larger_bodies_are_not_looked_at(shape: Any) -> None:
    body = encoded(TOP)
    largest = body + b" " * (LIMIT - len(body))

    assert recognised(shape(largest)) == json_envelope(largest)
    assert recognised(shape(largest + b" ")) is None


def test_text_is_measured_in_bytes() -> None:
    body = json.dumps({**TOP, "payload": "€" * (LIMIT // 3)}, ensure_ascii=False)

    assert len(body) < LIMIT < len(body.encode())
    assert recognised(body) is None


@pytest.mark.parametrize("body", [None, 5, {"x": TOP}, [encoded(TOP)], object])
def test_objects_are_no_envelopes(body: Any) -> None:
    assert recognised(body) is None


def test_plain_data_that_the_client_will_serialize_is_one() -> None:
    envelope = recognised({**TOP, "payload": {"at": dt.date(2026, 11, 23)}})

    assert envelope is not None
    assert envelope._replace(text=None) == recognised(encoded(TOP))._replace(text=None)
    assert json.loads(envelope.text)["payload"] == {"at": "2026-11-23"}


@pytest.mark.parametrize("value", [{1: object}, {(1, 2): 3}, 10**400])
def test_plain_data_without_a_form_in_json_never_raises(value: Any) -> None:
    recognised({**TOP, "payload": value})


def test_plain_data_that_holds_itself_is_no_envelope() -> None:
    circle: dict[str, Any] = {**TOP}
    circle["payload"] = circle

    assert recognised(circle) is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_python_writes_for_numbers_that_json_has_not_hides_no_envelope(value: float) -> None:
    body = encoded({**TOP, "payload": {"x": value}})

    assert recognised(body) == json_envelope(body)
