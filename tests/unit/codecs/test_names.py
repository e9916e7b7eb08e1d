from __future__ import annotations

import logging

from typing import Any

import pytest

from otelope.codecs import Codecs
from otelope.core.carriers import MAPPING
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


FLAT = {
    "id": "messageId",
    "timestamp": "@timestamp",
    "source": "service",
    "parentId": "causationId",
    "type": "message-type",
    "payload": "content",
}
DEEP = {
    "id": "meta.msg_id",
    "timestamp": "meta.when.sent",
    "source": "meta.from",
    "parentId": "meta.cause",
    "type": "event",
    "payload": "meta.content",
}


def flat(**more: Any) -> dict[str, Any]:
    return {FLAT[name]: value for name, value in METADATA.items()} | more


def deep() -> dict[str, Any]:
    return {
        "event": "OrderPlaced",
        "meta": {
            "msg_id": ID,
            "when": {"sent": NOW},
            "from": METADATA["source"],
            "cause": PARENT,
            "content": PAYLOAD,
        },
    }


@pytest.mark.parametrize("place", [None, "metadata", "meta", "envelope"])
def test_renamed_fields_in_any_place(place: str | None) -> None:
    codecs = Codecs(FLAT, LIMIT)
    body = encoded({place: flat()} if place else flat(id="the domain's own", type=5))

    assert recognised(body, codecs=codecs) == json_envelope(body)


@pytest.mark.parametrize("place", [None, "metadata", "meta", "envelope"])
def test_dots_go_deeper(place: str | None) -> None:
    codecs = Codecs(DEEP, LIMIT)
    body = encoded({place: deep()} if place else deep())

    assert recognised(body, codecs=codecs) == json_envelope(body)


@pytest.mark.parametrize(
    "change", [{"meta": None}, {"meta": 5}, {"meta": {"when": "now"}}], ids=str
)
def test_where_it_goes_no_deeper_is_no_envelope(change: dict[str, Any]) -> None:
    assert recognised(encoded(deep() | change), codecs=Codecs(DEEP, LIMIT)) is None


def test_a_renamed_field_has_no_other_name() -> None:
    assert recognised(encoded(METADATA), codecs=Codecs(FLAT, LIMIT)) is None


def test_a_field_named_as_a_place_is_that_field() -> None:
    codecs = Codecs({"source": "meta"}, LIMIT)
    body = encoded({**METADATA, "source": None, "meta": METADATA["source"]})

    assert recognised(body, codecs=codecs) == json_envelope(body)


def test_fields_may_swap_names() -> None:
    codecs = Codecs({"id": "type", "type": "id"}, LIMIT)
    body = encoded({**METADATA, "id": "OrderPlaced", "type": ID})

    assert recognised(body, codecs=codecs) == json_envelope(body)


def test_names_need_not_be_ascii() -> None:
    codecs = Codecs({"timestamp": "zeit", "id": "schlüssel"}, LIMIT)
    body = encoded({"schlüssel": ID, "zeit": NOW} | METADATA)

    assert recognised(body, codecs=codecs) == json_envelope(body)


def test_renamed_fields_in_headers() -> None:
    codecs = Codecs({**FLAT, "timestamp": "sent.at"}, LIMIT)
    headers = {
        "Message-Id": ID,
        "message_type": "OrderPlaced",
        "x-sent-at": str(NOW),
        "service": "orders",
        "source-version": "1.2",
        "causationId": PARENT,
    }
    plain = {"id": ID, "type": "OrderPlaced", "timestamp": str(NOW), "source": "orders"}
    envelope = recognised(b"data", headers, carrier=MAPPING, codecs=codecs)

    assert envelope == json_envelope(b"data")._replace(text=None, payload=b"data")
    assert recognised(b"data", plain, carrier=MAPPING, codecs=codecs) is None


@pytest.mark.parametrize(
    ("renamed", "reason"),
    [
        ({"ident": "messageId"}, "id, type, timestamp, source, parentId, channel, kind, payload"),
        ({"id": "a..b"}, "between dots is empty"),
        ({"payload": "."}, "between dots is empty"),
        ({"id": "source.id"}, "source is source"),
        ({"source": "id.from.there"}, "id is id"),
    ],
    ids=str,
)
def test_what_cannot_be_renamed_is_reported_and_left(
    renamed: dict[str, str], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "otelope"):
        codecs = Codecs(renamed, LIMIT)
    body = encoded(METADATA)

    (record,) = caplog.records
    assert record.getMessage().startswith("OTELOPE_FIELDS: ")
    assert reason in record.getMessage()
    assert recognised(body, codecs=codecs) == json_envelope(body)


def test_names_that_overlap_only_until_all_are_renamed_are_fine(
    caplog: pytest.LogCaptureFixture,
) -> None:
    codecs = Codecs({"id": "source.id", "source": "origin"}, LIMIT)
    document = {**METADATA, "source": {"id": ID}, "origin": METADATA["source"]}
    del document["id"]
    body = encoded(document)

    assert not caplog.records
    assert recognised(body, codecs=codecs) == json_envelope(body)


@pytest.mark.parametrize(("renamed", "document"), [(FLAT, flat(content=PAYLOAD)), (DEEP, deep())])
def test_a_renamed_payload(renamed: dict[str, str], document: dict[str, Any]) -> None:
    codecs = Codecs(renamed, LIMIT)
    envelope = recognised(encoded(document), codecs=codecs)

    assert envelope is not None
    assert codecs.payload_of(envelope) == PAYLOAD


def test_a_renamed_payload_that_is_missing_is_none() -> None:
    codecs = Codecs({"payload": "content"}, LIMIT)
    envelope = recognised(encoded({**METADATA, "payload": 1, "more": 2}), codecs=codecs)

    assert envelope is not None
    assert codecs.payload_of(envelope) is None
