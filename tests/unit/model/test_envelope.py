from __future__ import annotations

import datetime as dt
import json

from typing import Any

import pytest

from hypothesis import given
from hypothesis import strategies as st

from otelope.model import contracts
from otelope.model.envelope import Envelope, Source, milliseconds


NOW = 1_763_900_000_123
LAST = 253_402_300_799_999
EARLIEST = dt.datetime(1970, 1, 2)  # noqa: DTZ001 - hypothesis adds the zone
LATEST = dt.datetime(9999, 12, 30)  # noqa: DTZ001 - as above


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (NOW, NOW),
        (float(NOW), NOW),
        (NOW + 0.5, NOW + 0.5),
        (1_763_900_000, 1_763_900_000_000),
        (1_763_900_000.123, NOW),
        (1, 1000),
        (1e11, 100_000_000_000),
        (1e11 - 1, 99_999_999_999_000),
        (LAST, LAST),
        (str(NOW), NOW),
        ("1763900000", 1_763_900_000_000),
        (" 1763900000.123 ", NOW),
        ("1.763900000123e12", NOW),
        ("2025-11-23T12:13:20.123Z", NOW),
        ("2025-11-23t12:13:20.123z", NOW),
        ("2025-11-23 12:13:20.123Z", NOW),
        ("2025-11-23T12:13:20Z", NOW - 123),
        ("2025-11-23T12:13:20.1Z", NOW - 23),
        ("2025-11-23T12:13:20.12Z", NOW - 3),
        ("2025-11-23T12:13:20.1234567Z", NOW + 0.456),
        ("2025-11-23T12:13:20.123456789+00:00", NOW + 0.456),
        ("2025-11-23T13:13:20.123+01:00", NOW),
        ("2025-11-23T05:13:20.123-07:00", NOW),
        ("1970-01-01T00:00:01Z", 1000),
        ("1971-01-01T00:00:00Z", 31_536_000_000),
        ("9999-12-31T23:59:59.999Z", LAST),
    ],
)
def test_what_can_be_read(timestamp: Any, expected: float) -> None:
    assert milliseconds(timestamp) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", [int, float])
def test_a_number_of_a_subclass_is_one(kind: type) -> None:
    timestamp = type("Milliseconds", (kind,), {})(NOW)

    assert milliseconds(timestamp) == NOW


@pytest.mark.parametrize(
    "timestamp",
    [
        None,
        True,
        False,
        0,
        -1,
        LAST + 1,
        10**400,
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        " ",
        "now",
        "nan",
        "inf",
        "0",
        "1" * 400,
        "0x5",
        "2025-11-23",
        "2025-11-23T12:13:20",
        "2025-13-23T12:13:20Z",
        "2025-11-23T25:13:20Z",
        "2025-11-23T12:13:20+25:00",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999-01:00",
        "10000-01-01T00:00:00Z",
        b"1763900000",
        [NOW],
        dt.datetime(2025, 11, 23, tzinfo=dt.timezone.utc),
    ],
    ids=repr,
)
def test_what_says_nothing(timestamp: Any) -> None:
    assert milliseconds(timestamp) is None


@given(st.none() | st.integers() | st.floats() | st.text(st.characters()) | st.binary())
def test_nothing_makes_it_raise(timestamp: Any) -> None:
    result = milliseconds(timestamp)

    assert result is None or 0 < result <= LAST


# In milliseconds, numbers before March 1973 would be read as seconds.
@given(st.integers(10**11, LAST))
def test_milliseconds_stay_what_they_are(timestamp: int) -> None:
    assert milliseconds(timestamp) == milliseconds(str(timestamp)) == timestamp


@given(
    st.datetimes(EARLIEST, LATEST, timezones=st.timezones()),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
)
def test_rfc_3339_is_read_whatever_the_zone(moment: dt.datetime, precision: str) -> None:
    text = moment.isoformat(timespec=precision)
    expected = dt.datetime.fromisoformat(text)
    offset = expected.utcoffset()
    if offset is None or offset.seconds % 60:
        return  # zones of before 1900 have seconds, which RFC 3339 cannot write
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)

    assert milliseconds(text) == (expected - epoch) / dt.timedelta(milliseconds=1)


ENVELOPE = Envelope(
    "5", "OrderPlaced", NOW, Source("orders", "1.0"), "4", payload={"orderId": 7, "note": "é"}
)
WIRE = {
    "id": "5",
    "timestamp": NOW,
    "source": {"name": "orders", "version": "1.0"},
    "parentId": "4",
    "type": "OrderPlaced",
    "payload": {"orderId": 7, "note": "é"},
}


def test_the_spelling_of_the_wire() -> None:
    assert ENVELOPE.to_dict() == WIRE


def test_channel_and_kind_only_when_set() -> None:
    whole = ENVELOPE._replace(channel="orders", kind="event")

    assert whole.to_dict() == {**WIRE, "channel": "orders", "kind": "event"}


def test_a_root_has_a_parent_of_null() -> None:
    assert Envelope("5", "PlaceOrder").to_dict() == {
        "id": "5",
        "timestamp": None,
        "source": {"name": "", "version": ""},
        "parentId": None,
        "type": "PlaceOrder",
        "payload": None,
    }


def test_json_is_compact_utf8() -> None:
    text = ENVELOPE.to_json()

    assert json.loads(text) == WIRE
    assert b" " not in text
    assert "é".encode() in text


def test_what_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        ENVELOPE._replace(payload=object()).to_json()


@pytest.mark.parametrize(
    "envelope",
    [
        ENVELOPE,
        ENVELOPE._replace(channel="orders", kind="event", parent_id=None, timestamp=None),
    ],
)
def test_what_was_written_is_read_again(envelope: Envelope) -> None:
    assert Envelope.from_json(envelope.to_json()) == envelope
    assert Envelope.from_dict(envelope.to_dict()) == envelope


def test_what_is_read_again_lets_out_what_its_type_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "_declared", {})
    contracts.declare("OrderPlaced", frozenset({"orderId"}))
    read = Envelope.from_json(ENVELOPE.to_json(inside=True))
    assert read.payload == ENVELOPE.payload
    assert read.to_dict() == {**WIRE, "payload": {"orderId": 7}}


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "7", "{}", '{"id": "1"}', b"\xff", "[" * 100_000, '{"source": 7}'],
)
def test_what_is_no_envelope_cannot_be_read(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json has messages of its own
        Envelope.from_json(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": 7},
        {"type": 7},
        {"source": {"name": "orders", "version": 2}},
        {"parentId": 7},
        {"timestamp": "2026-01-01T00:00:00Z"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_field_of_another_kind_cannot_be_read(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a field is of another kind"):
        Envelope.from_dict({**WIRE, **wrong})
