"""What FastStream makes of an envelope that it sends over Redis."""

from __future__ import annotations

import json
import struct

from typing import Any

import pytest

from otelope.core.carriers import FIELDS
from tests.unit.codecs.messages import METADATA, PAYLOAD, encoded, json_envelope, recognised


ENVELOPE = encoded({**METADATA, "payload": PAYLOAD})
HEADERS = {"content-type": "application/json", "correlation_id": "7"}


def binary(body: bytes, headers: dict[str, str], version: int = 1) -> bytes:
    """As faststream.redis.parser.BinaryMessageFormatV1 writes it, read in 0.7.8."""
    said = struct.pack(">H", len(headers))
    for text in (text.encode() for pair in headers.items() for text in pair):
        said += struct.pack(">H", len(text)) + text
    signature = b"\x89BIN\x0d\x0a\x1a\x0a" + struct.pack(">H", version)
    first = len(signature) + 8
    return signature + struct.pack(">II", first, first + len(said)) + said + body


def as_object(body: bytes, **others: Any) -> bytes:
    return json.dumps({"data": body.decode(), "headers": HEADERS, **others}).encode()


@pytest.mark.parametrize("body", [binary(ENVELOPE, HEADERS), as_object(ENVELOPE)])
def test_the_body_within_is_the_envelope(body: bytes) -> None:
    assert recognised(body) == json_envelope(ENVELOPE)


def test_of_a_streams_entry_it_is_the_body() -> None:
    fields = {b"__data__": binary(ENVELOPE, HEADERS)}
    assert recognised(FIELDS.body(fields), fields, carrier=FIELDS) == json_envelope(ENVELOPE)


@pytest.mark.parametrize(
    "body",
    [
        binary(b'{"order": 7}', HEADERS),
        binary(ENVELOPE, HEADERS, version=2),
        *(binary(ENVELOPE, HEADERS)[:size] for size in (8, 10, 14, 60)),
        as_object(ENVELOPE, more=1),
        as_object(ENVELOPE)[:-1],
        b'{"data": 7, "headers": {}}',
        b'{"data": "\\ud800", "headers": {}}',
    ],
)
def test_anything_else_is_none(body: bytes) -> None:
    assert recognised(body) is None


def test_an_envelope_with_fields_of_these_names_is_itself() -> None:
    body = encoded({**METADATA, "data": "text", "headers": {}})
    assert recognised(body) == json_envelope(body)
