from __future__ import annotations

from typing import Any

import pytest

from otelope.codecs import Codecs
from otelope.core.carriers import MAPPING
from otelope.model.envelope import Envelope
from tests.unit.codecs.messages import ID, LIMIT, METADATA, NOW, PAYLOAD, encoded, recognised


CODECS = Codecs({}, LIMIT)
HEADERS = {"id": ID, "type": "OrderPlaced", "timestamp": str(NOW), "source": "orders"}


@pytest.mark.parametrize(
    ("document", "payload"),
    [
        ({**METADATA, "payload": PAYLOAD, "data": 1}, PAYLOAD),
        ({**METADATA, "data": PAYLOAD, "body": 1}, PAYLOAD),
        ({**METADATA, "body": PAYLOAD, "more": 1}, PAYLOAD),
        ({**METADATA, "payload": None, "data": 1}, None),
        ({**METADATA, "channel": "c", "kind": "event", **PAYLOAD}, PAYLOAD),
        (METADATA, None),
        ({"metadata": METADATA, "payload": PAYLOAD}, PAYLOAD),
        ({"meta": METADATA, **PAYLOAD}, PAYLOAD),
        ({"envelope": {**METADATA, "payload": PAYLOAD}}, PAYLOAD),
        ({"envelope": {**METADATA, "payload": 1}, "data": PAYLOAD}, PAYLOAD),
        ({"meta": METADATA}, None),
        ({**METADATA, "payload": [1.5, "é", None, True, 10**30]}, [1.5, "é", None, True, 10**30]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_where_the_payload_stands(document: Any, payload: Any) -> None:
    envelope = recognised(encoded(document))

    assert envelope is not None
    assert CODECS.payload_of(envelope) == payload


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (encoded(PAYLOAD), PAYLOAD),
        (b"5", 5),
        ("[]", []),
        (b"plain", b"plain"),
        ("plain", b"plain"),
        (b"\x00\xff", b"\x00\xff"),
        (b'"\xff"', b'"\xff"'),
        (b"", b""),
        (None, None),
        (b"[" * 4000, b"[" * 4000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_beside_headers_it_is_json_or_bytes(body: Any, payload: Any) -> None:
    envelope = recognised(body, HEADERS, carrier=MAPPING)

    assert envelope is not None
    assert CODECS.payload_of(envelope) == payload


def test_what_cannot_be_decoded_is_bytes() -> None:
    body = encoded({**METADATA, "payload": "?"}).replace(b"?", b"\xff")
    envelope = recognised(body)

    assert envelope is not None
    assert CODECS.payload_of(envelope) == b'"\xff"'


def test_names_that_are_no_utf8_leave_no_payload() -> None:
    body = encoded({**METADATA, "?": 1}).replace(b"?", b"\xff")
    envelope = recognised(body)

    assert envelope is not None
    assert CODECS.payload_of(envelope) is None


@pytest.mark.parametrize("payload", [None, PAYLOAD, "5", [1], object])
def test_the_payload_of_an_envelope_made_here_is_left_alone(payload: Any) -> None:
    assert CODECS.payload_of(Envelope(ID, "OrderPlaced", payload=payload)) is payload


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[]", b"[" * 100_000])
def test_a_text_that_is_no_envelope_has_no_payload(text: bytes) -> None:
    assert CODECS.payload_of(Envelope(ID, "OrderPlaced", text=text)) is None
