"""How text looks: colours, branches and marks, as far as the place it goes to can show them."""

from __future__ import annotations

import os
import re

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, NamedTuple, TextIO


class Marks(NamedTuple):
    """The signs a tree is drawn with; `tee`, `corner`, `bar` and `blank` are equally wide."""

    tee: str
    corner: str
    bar: str
    blank: str
    ok: str
    failed: str
    unknown: str
    to: str
    ellipsis: str
    asked: str
    minus: str
    full: str
    empty: str


DRAWN: Final = Marks("├─ ", "└─ ", "│  ", "   ", "✓", "✗", "?", "→", "…", "◀", "−", "█", "░")  # noqa: RUF001 - a minus sign
TYPED: Final = Marks(
    "|- ", "`- ", "|  ", "   ", "ok", "FAILED", "?", "->", "...", "<-", "-", "#", "."
)  # fmt: skip

_CODES: Final = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35",
    "cyan": "36",
}  # fmt: skip

# What comes from messages may hold anything: control characters could drive the terminal, and
# the directional ones (UAX 9) could make a line read as another.
_unprintable = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True)
class Style:
    """
    What output looks like.

    Args:
        colours: Whether to write ANSI colours.
        marks: `DRAWN`, or `TYPED` where only ASCII can be shown.
        zone: The time zone of clock times; None is the local one.
    """

    colours: bool = False
    marks: Marks = DRAWN
    zone: tzinfo | None = None

    def paint(self, text: str, *colours: str) -> str:
        """Text in these colours (keys of ``_CODES``), or as it is where there are none."""
        if not self.colours or not text:
            return text
        codes = ";".join(_CODES[colour] for colour in colours)
        return f"\x1b[{codes}m{text}\x1b[0m"


def style_for(stream: TextIO, environ: Mapping[str, str] = os.environ) -> Style:
    """
    The style that a stream can show.

    ``NO_COLOR`` before ``FORCE_COLOR`` before ``TERM=dumb`` before whether it is a terminal, as
    Python itself decides since 3.13.
    """
    return Style(_colours(stream, environ), DRAWN if _can_draw(stream) else TYPED)


def printable(value: object) -> str:
    """What comes from outside, safe to show on one line: control characters are escaped."""
    return _unprintable.sub(_escaped, str(value))


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")


def _colours(stream: TextIO, environ: Mapping[str, str]) -> bool:
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb" and stream.isatty()


def _can_draw(stream: TextIO) -> bool:
    try:
        "".join(DRAWN).encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
