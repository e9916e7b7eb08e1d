"""Server-sent events are found wherever the chunks are cut."""

from __future__ import annotations

import itertools

import pytest

from hypothesis import given
from hypothesis import strategies as st

from otelope.core.event_stream import EventStream


WHOLE = (
    b": comment\n\nevent: placed\ndata: 1\nid: 7\n\ndata:2\r\n\r\ndata: 3\rdata: 4\r\r"
    b"retry: 10\n\ndata: 5\n\ndata: begun"
)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=20).map(sorted))
def test_events_are_found_wherever_the_chunks_are_cut(cuts):
    stream = EventStream(100)
    places = [0, *cuts, len(WHOLE)]
    chunks = [WHOLE[start:end] for start, end in itertools.pairwise(places)]
    assert [data for chunk in chunks for data in stream.passed(chunk)] == [
        b"1",
        b"2",
        b"3\n4",
        b"5",
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_is_too_long_is_passed_over_and_not_kept(size):
    whole = b"data: 1\n\ndata: " + b"x" * 500 + b"\n\ndata: 2\n\n"
    stream, found = EventStream(100), []
    for start in range(0, len(whole), size):
        found += stream.passed(whole[start : start + size])
        assert len(stream._begun) <= 100
    assert found == [b"1", b"2"]
