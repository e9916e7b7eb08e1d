"""When output is coloured, and with what it is drawn."""

from __future__ import annotations

import io

import pytest

from otelope.cli.style import DRAWN, TYPED, printable, style_for


class Stream(io.TextIOWrapper):
    """A stream with an encoding that is, or is not, a terminal."""

    def __init__(self, encoding="utf-8", *, terminal=True):
        super().__init__(io.BytesIO(), encoding)
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.mark.parametrize(
    ("environ", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
        ({"TERM": "xterm-256color"}, True, True),
    ],
)
def test_colours(environ, terminal, coloured):
    assert style_for(Stream(terminal=terminal), environ).colours is coloured


@pytest.mark.parametrize(
    ("encoding", "marks"),
    [("utf-8", DRAWN), ("ascii", TYPED), ("latin-1", TYPED), ("cp437", TYPED)],
)
def test_marks_that_the_stream_can_carry(encoding, marks):
    assert style_for(Stream(encoding), {}).marks is marks


def test_branches_are_equally_wide():
    for marks in (DRAWN, TYPED):
        assert {len(each) for each in marks[:4]} == {3}


def test_printable_leaves_what_people_read():
    assert printable("Größe → 注文 🙂 a b") == "Größe → 注文 🙂 a b"
    assert printable(None) == "None"
