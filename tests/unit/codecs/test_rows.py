"""What of a database's rows may be an envelope."""

from __future__ import annotations

import json

from datetime import datetime, timezone
from types import MappingProxyType
from uuid import UUID

import pytest

from otelope.codecs import Codecs
from otelope.core.carriers import MAPPING
from otelope.core.message import Message


ID = "8f19aa8e-0a93-8a5f-9131-60af3e17183a"
PARENT = "8f19aa8e-0a93-8a5f-9b68-7ff8542f2a37"
TIMESTAMP = 1_795_474_667_685
WIRE = {
    "id": ID,
    "timestamp": TIMESTAMP,
    "source": {"name": "orders", "version": "1.0"},
    "parentId": PARENT,
    "type": "OrderPlaced",
    "payload": {"orderId": 42},
}
COLUMNS = {
    "id": ID,
    "timestamp": TIMESTAMP,
    "parent_id": PARENT,
    "type": "OrderPlaced",
    "source": "orders",
}


@pytest.fixture
def codecs():
    return Codecs({}, 1_048_576)


def found(codecs, *rows):
    recognised = [codecs.recognise(Message(None, c), MAPPING) for c in codecs.candidates(rows)]
    return [envelope for envelope in recognised if envelope is not None]


@pytest.mark.parametrize("body", [json.dumps(WIRE), json.dumps(WIRE).encode(), WIRE])
@pytest.mark.parametrize("row", [lambda body: (7, body), lambda body: {"position": 7, "b": body}])
def test_a_value_that_is_a_whole_envelope(codecs, row, body):
    (envelope,) = found(codecs, row(body))
    assert (envelope.id, envelope.type, envelope.parent_id) == (ID, "OrderPlaced", PARENT)
    assert codecs.payload_of(envelope) == {"orderId": 42}


def test_a_row_may_hold_a_command_and_the_event_it_led_to(codecs):
    command = {**WIRE, "id": PARENT, "parentId": None, "type": "PlaceOrder"}
    envelopes = found(codecs, (json.dumps(command), json.dumps(WIRE)))
    assert [envelope.id for envelope in envelopes] == [PARENT, ID]


@pytest.mark.parametrize(
    "columns",
    [
        COLUMNS,
        {**COLUMNS, "parent_id": None},
        {**COLUMNS, "id": UUID(ID), "parent_id": UUID(PARENT)},
        {"parentId" if name == "parent_id" else name: value for name, value in COLUMNS.items()},
        {**COLUMNS, "timestamp": datetime.fromtimestamp(TIMESTAMP / 1000, tz=timezone.utc)},
        MappingProxyType(COLUMNS),
    ],
)
def test_columns_named_as_the_fields(codecs, columns):
    (envelope,) = found(codecs, columns)
    assert (envelope.id, envelope.type, envelope.timestamp) == (ID, "OrderPlaced", TIMESTAMP)
    assert envelope.parent_id in (None, PARENT)


@pytest.mark.parametrize(
    ("columns", "source"),
    [
        ({"source": "orders"}, ("orders", "")),
        ({"source_name": "orders", "source_version": "1.0"}, ("orders", "1.0")),
        ({"source_name": "orders"}, ("orders", "")),
    ],
)
def test_the_source_of_columns(codecs, columns, source):
    rest = {name: value for name, value in COLUMNS.items() if name != "source"}
    (envelope,) = found(codecs, {**rest, **columns})
    assert envelope.source == source


@pytest.mark.parametrize(
    ("payload", "decoded"),
    [
        ('{"orderId": 42}', {"orderId": 42}),
        (b'{"orderId": 42}', {"orderId": 42}),
        ({"orderId": 42}, {"orderId": 42}),
        ("a note", "a note"),
        (None, None),
    ],
)
def test_the_payload_of_columns(codecs, payload, decoded):
    row = {**COLUMNS, "payload": payload, "position": 7}
    (envelope,) = found(codecs, row)
    assert codecs.payload_of(envelope) == decoded
    assert row["payload"] is payload


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_column_too_few_is_none(codecs, missing):
    assert found(codecs, {name: v for name, v in COLUMNS.items() if name != missing}) == []


@pytest.mark.parametrize(
    "row",
    [
        (),
        {},
        (ID, TIMESTAMP, PARENT, "OrderPlaced"),
        {**COLUMNS, "id": 7, "parent_id": 6},
        {**COLUMNS, "timestamp": datetime(2026, 11, 24)},  # noqa: DTZ001 - nobody says which zone
        {**COLUMNS, "type": None},
        ("{", b"{}", "[]", 7, None),
    ],
)
def test_what_is_not_certain_is_none(codecs, row):
    assert found(codecs, row) == []


def test_columns_are_named_as_the_fields_are_renamed():
    codecs = Codecs({"id": "messageId", "parentId": "causationId", "payload": "data"}, 1024)
    row = {
        "message_id": ID,
        "causation_id": PARENT,
        "type": "OrderPlaced",
        "timestamp": TIMESTAMP,
        "source": "orders",
        "data": "{}",
    }
    (envelope,) = found(codecs, row)
    assert (envelope.id, envelope.parent_id) == (ID, PARENT)
    assert codecs.payload_of(envelope) == {}
    assert found(codecs, COLUMNS) == []


@pytest.mark.parametrize(
    ("fields", "count"),
    [({"id": "meta.id"}, 0), ({"source": "meta.source"}, 0), ({"payload": "order.lines"}, 1)],
)
def test_what_stands_deeper_in_json_is_no_column(fields, count):
    codecs = Codecs(fields, 1024)
    assert len(found(codecs, {**COLUMNS, "source_name": "orders"})) == count
