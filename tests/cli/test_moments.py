"""Times and durations as people write and read them."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone

import pytest

from hypothesis import given
from hypothesis import strategies as st

from otelope.cli.moments import clock, duration, moment


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"), (0.04, "0 ms"), (0.25, "0.2 ms"), (9.94, "9.9 ms"), (9.99, "10 ms"),
        (10.4, "10 ms"), (999.4, "999 ms"), (999.6, "1 s"), (1_000, "1 s"), (1_250, "1.2 s"),
        (59_949, "59.9 s"), (59_970, "1 min"), (60_000, "1 min"), (125_000, "2 min 5 s"),
        (3_600_000, "1 h"),
        (5_460_000, "1 h 31 min"), (86_400_000, "1 d"),
        (200_000_000, "2 d 7 h"),
    ],
)  # fmt: skip
def test_durations(ms, text):
    assert duration(ms) == text


@given(st.floats(0, 1e15))
def test_any_duration_is_short(ms):
    assert len(duration(ms)) <= 20


def test_clock():
    assert clock(1_795_442_587_120.0, timezone.utc) == "2026-11-23 14:03:07.120"
    assert clock(1_795_442_588_369.9998, timezone.utc) == "2026-11-23 14:03:08.370"
    assert clock(1_795_442_587_999.9, timezone.utc) == "2026-11-23 14:03:08.000"
    assert clock(None) == "?"
    assert clock(1e300, timezone.utc).endswith(" ms")


NOW = 1_795_442_587_120.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - 90_000),
        ("10m", NOW - 600_000),
        (" 1.5 h ", NOW - 5_400_000),
        ("7d", NOW - 604_800_000),
        ("99999999d", 0),
        ("2026-11-23T14:03:07.120Z", NOW),
        ("2026-11-23T16:03:07.120+02:00", NOW),
        ("1795442587.12", NOW),
        ("1795442587120", NOW),
    ],
)
def test_moments(text, expected):
    assert moment(text, NOW) == pytest.approx(expected)


def test_a_date_is_local():
    assert moment("2026-11-23") == datetime(2026, 11, 23).astimezone().timestamp() * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "10 parsecs", "-5m", "2026-13-01"])
def test_what_is_no_moment_says_what_would_be(text):
    with pytest.raises(ValueError, match="write how long ago"):
        moment(text, NOW)


@given(st.text())
def test_any_text_is_a_moment_or_a_value_error(text):
    with suppress(ValueError):
        assert moment(text, NOW) >= 0
