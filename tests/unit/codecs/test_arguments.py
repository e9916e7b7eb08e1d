"""A job's arguments: the first that is an envelope is what it carries."""

from __future__ import annotations

import json

from collections.abc import Sequence
from typing import Any

import pytest

from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.model.envelope import Envelope
from tests.unit.codecs.messages import CODECS, ID, LIMIT, METADATA, encoded


ENVELOPE = encoded(METADATA)
OTHER = encoded({**METADATA, "id": "other"})


def carried(arguments: Sequence[Any], headers: dict[str, Any] | None = None) -> Envelope | None:
    return CODECS.recognise(Message("jobs", None, headers, arguments=arguments), MAPPING)


@pytest.mark.parametrize("argument", [ENVELOPE, ENVELOPE.decode(), METADATA], ids=type)
def test_an_argument_may_be_bytes_text_or_an_object(argument: Any) -> None:
    envelope = carried([7, None, {"order": 7}, "{", argument, OTHER])
    assert envelope is not None
    assert envelope.id == ID
    assert json.loads(envelope.text or b"") == METADATA


@pytest.mark.parametrize("arguments", [(), (7,), ([METADATA],), (ENVELOPE + b" " * LIMIT,)])
def test_without_one_it_is_none(arguments: Sequence[Any]) -> None:
    assert carried(arguments) is None


def test_headers_make_no_envelope_of_what_is_none() -> None:
    headers = {"id": ID, "type": "OrderPlaced", "timestamp": METADATA["timestamp"], "source": "s"}
    assert carried([{"order": 7}], headers) is None
