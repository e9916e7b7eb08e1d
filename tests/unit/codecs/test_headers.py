from __future__ import annotations

import datetime as dt

from typing import Any

import pytest

from otelope.codecs import Codecs
from otelope.core.carriers import HTTP, MAPPING, PAIRS
from otelope.model.envelope import Envelope, Source
from tests.unit.codecs.messages import ID, LIMIT, NOW, PARENT, PAYLOAD, encoded, recognised


BODY = encoded(PAYLOAD)
HEADERS = {
    "id": ID,
    "type": "OrderPlaced",
    "timestamp": str(NOW),
    "source": "orders",
    "source-version": "1.2",
    "parentId": PARENT,
}
NATIVE = {
    "message_id": ID,
    "type": "OrderPlaced",
    "timestamp": NOW // 1000,
    "app_id": "orders",
    "correlation_id": PARENT,
}


def composed(**different: Any) -> Envelope:
    whole = Envelope(ID, "OrderPlaced", NOW, Source("orders", "1.2"), PARENT, payload=BODY)
    return whole._replace(**different)


@pytest.mark.parametrize(
    "names",
    [
        ["id", "type", "timestamp", "source", "sourceVersion", "parentId"],
        ["Message-Id", "Message-Type", "Timestamp", "Source", "Source-Version", "Parent-Id"],
        ["x-message-id", "x-type", "x-timestamp", "x-source", "x-source-version", "x-parent-id"],
        ["event_id", "event_type", "event_timestamp", "app_id", "app_version", "causation_id"],
        ["command.id", "command.type", "timestamp", "source.name", "source.version", "cause.id"],
        ["messageId", "messageType", "timestamp", "source", "sourceVersion", "causationId"],
    ],
    ids=lambda names: names[0],
)
@pytest.mark.parametrize("carrier", [PAIRS, MAPPING, HTTP])
def test_usual_spellings(carrier: Any, names: list[str]) -> None:
    named = dict(zip(names, HEADERS.values(), strict=True))
    headers: Any = named
    if carrier is HTTP:
        headers = [(name.encode(), value.encode()) for name, value in named.items()]
    elif carrier is PAIRS:
        headers = [(name, value.encode()) for name, value in named.items()]

    assert recognised(BODY, headers, carrier=carrier) == composed()


def test_our_own_names_go_before_other_spellings() -> None:
    headers = {"message-id": "other", "event-type": "Other", "causation-id": "other", **HEADERS}

    assert recognised(BODY, headers, carrier=MAPPING) == composed()


def test_the_first_of_repeated_headers_counts() -> None:
    headers = [*((n, v.encode()) for n, v in HEADERS.items()), ("id", b"again")]

    assert recognised(BODY, headers) == composed()


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"kind": "command", "channel": "o"}, {"kind": "command", "channel": "o"}),
        ({"timestamp": "2025-11-23T12:13:20.123Z"}, {}),
        ({"timestamp": str(NOW // 1000)}, {"timestamp": NOW // 1000 * 1000}),
        ({"parentId": ""}, {"parent_id": None}),
        ({"parentId": b"\xff"}, {"parent_id": None}),
        ({"id": b"\xff", "message-id": ID}, {}),
        ({"id": ID.upper()}, {}),
        ({"source": ""}, {"source": Source()}),
        ({"source-version": b"\xff"}, {"source": Source("orders")}),
    ],
    ids=str,
)
def test_what_values_are_read_as(change: dict[str, Any], result: dict[str, Any]) -> None:
    assert recognised(BODY, {**HEADERS, **change}, carrier=MAPPING) == composed(**result)


@pytest.mark.parametrize("missing", [["id"], ["type"], ["timestamp"], ["source", "parentId"]])
def test_fields_an_envelope_cannot_do_without(missing: list[str]) -> None:
    headers = {name: value for name, value in HEADERS.items() if name not in missing}

    assert recognised(BODY, headers, carrier=MAPPING) is None


@pytest.mark.parametrize(
    "change",
    [{"id": "a\nb"}, {"id": "x" * 257}, {"type": " "}, {"timestamp": "soon"}, {"parentId": "\t"}],
    ids=str,
)
def test_values_that_make_no_envelope(change: dict[str, str]) -> None:
    assert recognised(BODY, {**HEADERS, **change}, carrier=MAPPING) is None


def test_native_properties() -> None:
    assert recognised(BODY, None, NATIVE, MAPPING) == composed(
        timestamp=NOW // 1000 * 1000, source=Source("orders"), parent_id=None
    )


def test_headers_go_before_native_properties() -> None:
    headers = {"type": "OrderMoved", "causation-id": PARENT}

    assert recognised(BODY, headers, NATIVE, MAPPING) == composed(
        type="OrderMoved", timestamp=NOW // 1000 * 1000, source=Source("orders")
    )


def test_correlation_names_the_parent_where_the_user_says_so() -> None:
    codecs = Codecs({"parentId": "correlation_id"}, LIMIT)

    assert recognised(BODY, None, NATIVE, MAPPING, codecs) == composed(
        timestamp=NOW // 1000 * 1000, source=Source("orders")
    )


@pytest.mark.parametrize("zone", [None, dt.timezone.utc])
def test_native_timestamps_may_be_moments(zone: Any) -> None:
    moment = dt.datetime(2025, 11, 23, 12, 13, 20, tzinfo=zone)
    envelope = recognised(BODY, None, {**NATIVE, "timestamp": moment}, MAPPING)

    assert envelope is not None
    assert envelope.timestamp == NOW // 1000 * 1000


@pytest.mark.parametrize("absent", ["message_id", "type", "timestamp", "app_id"])
def test_native_properties_that_do_not_suffice(absent: str) -> None:
    assert recognised(BODY, None, {**NATIVE, absent: None}, MAPPING) is None


def test_native_properties_of_odd_types_make_no_envelope() -> None:
    assert recognised(BODY, None, dict.fromkeys(NATIVE, object()), MAPPING) is None


@pytest.mark.parametrize("body", [None, b"", b"\x00\xff", "text", bytearray(b"text")], ids=repr)
def test_the_payload_is_the_body(body: Any) -> None:
    payload = body.encode() if isinstance(body, str) else body and bytes(body)
    if body == b"":
        payload = b""

    assert recognised(body, HEADERS, carrier=MAPPING) == composed(payload=payload)


def test_objects_are_no_payload() -> None:
    assert recognised(PAYLOAD, HEADERS, carrier=MAPPING) is None


def test_larger_bodies_are_not_looked_at() -> None:
    assert recognised(b"x" * LIMIT, HEADERS, carrier=MAPPING) is not None
    assert recognised(b"x" * (LIMIT + 1), HEADERS, carrier=MAPPING) is None


def test_long_names_and_many_headers_are_passed_over() -> None:
    headers = [("x" * 100_000, b"1"), *((f"n{n}", b"1") for n in range(5000))]
    headers += [(name, value.encode()) for name, value in HEADERS.items()]

    assert recognised(BODY, headers) == composed()
