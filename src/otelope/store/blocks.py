"""Where a copy is cut: by the rows alone, so that the same rows are cut alike when it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


MOST_ROWS = 10_000
MOST_BYTES = 8 * 1024 * 1024


class Place(NamedTuple):
    """Where a row stands in its store for good: the number of its insert, and where in that."""

    number: int
    offset: int


class Insert(NamedTuple):
    """
    What came into a store at once.

    Args:
        number: Its own, higher than those of all before.
        rows: How many are there of it.
        last: The offset of the last.
        since, until: From when to when they are, in Unix nanoseconds.
    """

    number: int
    rows: int
    last: int
    since: int
    until: int


class Window(NamedTuple):
    """The rows from a place up to another, exclusive; and from when to when they are."""

    begin: Place
    end: Place
    since: int
    until: int


def windows(inserts: Iterable[Insert], begin: Place, most_rows: int) -> Iterator[Window]:
    """
    Cut inserts into windows of at most so many rows: small ones together, large ones in pieces.

    Args:
        inserts: In the order of their numbers, none of them before ``begin``.
        begin: Where the first window begins.
        most_rows: Of a window.
    """
    together: Window | None = None
    rows = 0
    for insert in inserts:
        first = begin.offset if insert.number == begin.number else 0
        large = insert.last - first >= most_rows
        if together and (large or rows + insert.rows > most_rows):
            yield together
            begin, together = together.end, None
        if large:
            for offset in range(first + most_rows, insert.last + 1, most_rows):
                end = Place(insert.number, offset)
                yield Window(begin, end, insert.since, insert.until)
                begin = end
        end = Place(insert.number + 1, 0)
        if together:
            since, until = min(together.since, insert.since), max(together.until, insert.until)
            together, rows = Window(begin, end, since, until), rows + insert.rows
        else:
            # What is left of a large one may be joined by those after it.
            together = Window(begin, end, insert.since, insert.until)
            rows = insert.last + 1 - begin.offset if large else insert.rows
    if together:
        yield together


def blocks(sizes: Iterable[int], most_rows: int, most_bytes: int = MOST_BYTES) -> Iterator[slice]:
    """Cut rows of these sizes into as few blocks as keep the limits; a larger row is one alone."""
    start = rows = size = 0
    for row in sizes:
        if rows and (rows == most_rows or size + row > most_bytes):
            yield slice(start, start + rows)
            start, rows, size = start + rows, 0, 0
        rows += 1
        size += row
    if rows:
        yield slice(start, start + rows)
