"""How far something long has come: a line that is drawn anew, or one every few seconds."""

from __future__ import annotations

import os
import sys
import time

from otelope.cli.moments import duration
from otelope.cli.output import say
from otelope.cli.style import style_for


_BAR = 24
_COLUMNS = 80  # of a terminal that does not say
_DRAWN_SECONDS = 0.1
_SAID_SECONDS = 5.0


class Progress:
    """
    Tells a person on standard error how many of some things are done; ends as a context.

    Args:
        doing: What is done with them, such as ``copying``.
        total: How many there are.
        what: The word for several of them.
    """

    def __init__(self, doing: str, total: int, what: str) -> None:
        self._doing = doing
        self._total = total
        self._what = what
        self._stream = sys.stderr
        self._marks = style_for(self._stream).marks
        self._draws = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._started = self._told = time.monotonic()
        self._drawn = False
        self.done = 0

    def advance(self, number: int) -> None:
        """So many more are done."""
        self.done += number
        now = time.monotonic()
        if now - self._told < (_DRAWN_SECONDS if self._draws else _SAID_SECONDS):
            return
        self._told = now
        if self._draws:
            self._draw(now - self._started)
        else:
            say(f"{self._doing}: {self._of_total()}")

    def __enter__(self) -> Progress:  # noqa: PYI034 - Self is Python 3.11's
        if self._draws:
            self._draw(0.0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _of_total(self) -> str:
        return f"{self.done:,} of {self._total:,} {self._what}"

    def _draw(self, seconds: float) -> None:
        share = min(1.0, self.done / self._total) if self._total else 1.0
        parts = [self._of_total()]
        if self.done and seconds:
            each = seconds / self.done
            parts.append(f"{1 / each:,.0f}/s")
            parts.append(f"{duration(1000 * each * max(0, self._total - self.done))} left")
        full = round(share * _BAR)
        bar = self._marks.full * full + self._marks.empty * (_BAR - full)
        line = f"{self._doing}  {bar}  {share:4.0%}  {', '.join(parts)}"
        # One short of the width: some terminals go on to the next line with the last column.
        columns = os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS
        self._stream.write(f"\r{line[: columns - 1]}\x1b[K")
        self._stream.flush()
        self._drawn = True
