from __future__ import annotations

import base64

from typing import Any

import pytest

from otelope.codecs import Codecs
from otelope.core.carriers import HTTP, MAPPING, PAIRS
from otelope.model.envelope import Envelope, Source
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


ATTRIBUTES = {
    "specversion": "1.0",
    "id": ID,
    "source": "/orders",
    "type": "com.acme.order.placed",
    "time": "2025-11-23T12:13:20.123Z",
    "causationid": PARENT,
}
DATA = encoded(PAYLOAD)


def cloudevent(**different: Any) -> Envelope:
    whole = Envelope(ID, "com.acme.order.placed", NOW, Source("/orders"), PARENT)
    return whole._replace(**different)


def structured(**different: Any) -> bytes:
    document = {**ATTRIBUTES, "datacontenttype": "application/json", "data": PAYLOAD, **different}
    return encoded({name: value for name, value in document.items() if value is not ...})


def in_headers(prefix: str, attributes: dict[str, str]) -> dict[str, str]:
    return {"content-type": "application/json", **{prefix + n: v for n, v in attributes.items()}}


def test_structured() -> None:
    body = structured()

    assert recognised(body) == cloudevent(text=body)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"specversion": "0.3"}, {}),
        ({"time": ...}, {"timestamp": None}),
        ({"time": None}, {"timestamp": None}),
        ({"time": "yesterday"}, {"timestamp": None}),
        ({"time": ..., "timestamp": NOW}, {}),
        ({"causationid": ...}, {"parent_id": None}),
        ({"causationid": None}, {"parent_id": None}),
        ({"causationid": ..., "parentid": PARENT}, {}),
        ({"causationid": ..., "parentId": PARENT}, {}),
        ({"causationid": PARENT, "parentid": "other"}, {}),
        ({"causationid": ID}, {"parent_id": None}),
        ({"kind": "command", "channel": "orders"}, {"kind": "command", "channel": "orders"}),
        ({"subject": "o/5", "data": ..., "data_base64": "AAE="}, {}),
    ],
    ids=str,
)
def test_structured_attributes(change: dict[str, Any], result: dict[str, Any]) -> None:
    body = structured(**change)

    assert recognised(body) == cloudevent(text=body, **result)


@pytest.mark.parametrize(
    "change",
    [
        *({name: ...} for name in ("id", "source", "type")),
        *({name: ""} for name in ("id", "source", "type")),
        {"specversion": 1, "timestamp": ...},
        {"specversion": "1.0\n"},
        {"specversion": "1" * 17},
        {"causationid": ["x"]},
    ],
    ids=str,
)
def test_what_is_no_cloudevent(change: dict[str, Any]) -> None:
    assert recognised(structured(**change)) is None


def test_a_batch_of_cloudevents_is_no_envelope() -> None:
    assert recognised(b"[" + structured() + b"]") is None


@pytest.mark.parametrize(
    ("carrier", "prefix"),
    [
        (HTTP, "ce-"),
        (HTTP, "Ce-"),
        (PAIRS, "ce_"),
        (MAPPING, "cloudEvents:"),
        (MAPPING, "cloudEvents_"),
        (MAPPING, "ce-"),
        (MAPPING, "Ce-"),
        (MAPPING, "ce_"),
        (MAPPING, ""),
    ],
)
def test_binary_on_every_transport(carrier: Any, prefix: str) -> None:
    headers: Any = in_headers(prefix, ATTRIBUTES)
    if carrier is HTTP:
        headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    elif carrier is PAIRS:
        headers = [("trace", b"\xff"), *((n, v.encode()) for n, v in headers.items())]

    assert recognised(DATA, headers, carrier=carrier) == cloudevent(payload=DATA)


@pytest.mark.parametrize("attribute", ["causationid", "parentid", "parentId"])
def test_binary_parents(attribute: str) -> None:
    attributes = {n: v for n, v in ATTRIBUTES.items() if n != "causationid"}
    headers = in_headers("ce_", {**attributes, attribute: PARENT})

    assert recognised(DATA, headers, carrier=MAPPING) == cloudevent(payload=DATA)


def test_binary_over_http_is_percent_encoded() -> None:
    headers = [
        (f"ce-{name}".encode(), value.encode())
        for name, value in {**ATTRIBUTES, "source": "/%E2%82%AC%20100%25"}.items()
    ]

    assert recognised(DATA, headers, carrier=HTTP) == cloudevent(
        source=Source("/€ 100%"), payload=DATA
    )


def test_binary_elsewhere_is_not() -> None:
    headers = in_headers("ce_", {**ATTRIBUTES, "id": "a%20b"})

    assert recognised(DATA, headers, carrier=MAPPING) == cloudevent(id="a%20b", payload=DATA)


@pytest.mark.parametrize("body", [None, b"", b"\x00\xff", "text"], ids=repr)
def test_binary_data_may_be_anything(body: Any) -> None:
    payload = body.encode() if isinstance(body, str) else body

    assert recognised(body, in_headers("ce_", ATTRIBUTES), carrier=MAPPING) == cloudevent(
        payload=payload
    )


def test_binary_data_that_is_an_envelope_is_data() -> None:
    body = encoded(METADATA)

    assert recognised(body, in_headers("ce_", ATTRIBUTES), carrier=MAPPING) == cloudevent(
        payload=body
    )


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_an_incomplete_cloudevent_leaves_the_message_to_other_codecs(missing: str) -> None:
    headers = in_headers("ce_", {n: v for n, v in ATTRIBUTES.items() if n != missing})
    body = encoded(METADATA)

    assert recognised(DATA, headers, carrier=MAPPING) is None
    assert recognised(body, headers, carrier=MAPPING) == json_envelope(body)


def test_larger_bodies_are_not_looked_at() -> None:
    headers = in_headers("ce_", ATTRIBUTES)

    assert recognised(b"x" * LIMIT, headers, carrier=MAPPING) is not None
    assert recognised(b"x" * (LIMIT + 1), headers, carrier=MAPPING) is None


def test_the_extension_that_names_the_parent_can_be_renamed() -> None:
    codecs = Codecs({"parentId": "cause", "id": "messageId"}, LIMIT)
    body = structured(causationid=..., cause=PARENT)
    headers = in_headers("ce_", {**ATTRIBUTES, "causationid": "", "cause": PARENT})
    del headers["ce_causationid"]

    assert recognised(body, codecs=codecs) == cloudevent(text=body)
    assert recognised(DATA, headers, carrier=MAPPING, codecs=codecs) == cloudevent(payload=DATA)


@pytest.mark.parametrize(
    ("change", "payload"),
    [
        ({}, PAYLOAD),
        ({"data": ...}, None),
        ({"data": None}, None),
        ({"data": "text"}, "text"),
        ({"data": ..., "data_base64": base64.b64encode(b"\x00\xff").decode()}, b"\x00\xff"),
        ({"data": ..., "data_base64": "not base64!"}, None),
        ({"data": ..., "data_base64": "é"}, None),
        ({"data_base64": 5}, PAYLOAD),
    ],
    ids=str,
)
def test_structured_data(change: dict[str, Any], payload: Any) -> None:
    codecs = Codecs({}, LIMIT)
    envelope = recognised(structured(**change))

    assert envelope is not None
    assert codecs.payload_of(envelope) == payload
