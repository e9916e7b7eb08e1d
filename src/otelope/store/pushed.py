"""Log records and spans as a push reads them: in which order, and how they are found again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from otelope.store import statements
from otelope.store.blocks import Insert, Place, Window, windows
from otelope.store.clickhouse import Store
from otelope.store.engine import Parameter
from otelope.store.ledger import Cursor


# As few as 20 MB of them in memory; each page looks at all numbers of the table, 30 ms for 1 M.
_INSERTS_A_PAGE = 20_000
# So many of a block's rows, evenly chosen, are looked for: below 64 KiB in a URL, and of a block
# that is on some shards of a cluster only, some are missing.
_LOOKED_FOR = 256


class Row(NamedTuple):
    """
    A row in outline.

    Args:
        cursor: Where it stands in the order in which it is read.
        size: In memory, bytes.
        mark: A number that tells it from others.
        found_by: A value that few others share, and by which they are found quickly.
    """

    cursor: Cursor
    size: int
    mark: str
    found_by: str


class Selected(NamedTuple):
    """A statement that selects rows, columns as in the insert of their table."""

    statement: str
    parameters: dict[str, Parameter]


class Pushed(Protocol):
    """A table of a store that is pushed, and the order in which its rows are."""

    table: str

    def windows(self, begin: Place) -> Iterator[Window]:
        """All rows from a place on, in the order of their inserts."""
        ...

    def outline(self, window: Window, after: Cursor | None, limit: int) -> list[Row]:
        """The next rows of a window."""
        ...

    def selected(self, window: Window, after: Cursor | None, last: Cursor) -> Selected:
        """The rows of a window that follow one, up to another."""
        ...

    def are_in(self, target: Store, rows: Sequence[Row]) -> bool:
        """Whether the store has all of these rows, to judge by some."""
        ...


class Logs:
    """
    Log records, in the order they came.

    So they stand in a tail, and of two that tell of an envelope the later one stays the later.
    """

    table = "otel_logs"

    def __init__(self, store: Store, most_rows: int) -> None:
        self._store = store
        self._most_rows = most_rows

    def windows(self, begin: Place) -> Iterator[Window]:
        """As `Pushed.windows`: small ones, for each is sorted in memory."""
        return windows(_inserts(self._store, self.table, begin), begin, self._most_rows)

    def outline(self, window: Window, after: Cursor | None, limit: int) -> list[Row]:
        """As `Pushed.outline`."""
        found = self._store.ask("push_logs_outline", **_between(window, after), limit=limit)
        return [Row(row[:2], *row[2:]) for row in found]

    def selected(self, window: Window, after: Cursor | None, last: Cursor) -> Selected:
        """As `Pushed.selected`."""
        return Selected(statements.query("push_logs"), _between(window, after, last))

    def are_in(self, target: Store, rows: Sequence[Row]) -> bool:
        """As `Pushed.are_in`."""
        chosen = _some(rows)
        return _all(chosen, target.ask("push_logs_present", **_wanted(chosen)))


class Spans:
    """
    Spans, in the order of their table.

    In the order they came, the rows of a block would be all over the table, and all of it would
    be read for each.
    """

    table = "otel_traces"

    def __init__(self, store: Store) -> None:
        self._store = store

    def windows(self, begin: Place) -> Iterator[Window]:
        """As `Pushed.windows`: one, for it is read in order."""
        _, _, last = self._store.ask("push_counts", table=self.table, **begin._asdict())[0]
        if last >= begin.number:
            yield Window(begin, Place(last + 1, 0), 0, 0)

    def outline(self, window: Window, after: Cursor | None, limit: int) -> list[Row]:
        """As `Pushed.outline`."""
        found = self._store.ask("push_spans_outline", **_following(window, after), limit=limit)
        return [Row(row[:5], *row[5:]) for row in found]

    def selected(self, window: Window, after: Cursor | None, last: Cursor) -> Selected:
        """As `Pushed.selected`."""
        names = ("last_trace", "last_started", "last_span", "last_number", "last_offset")
        upto: dict[str, Parameter] = dict(zip(names, last, strict=True))
        return Selected(statements.query("push_spans"), _following(window, after) | upto)

    def are_in(self, target: Store, rows: Sequence[Row]) -> bool:
        """As `Pushed.are_in`."""
        chosen = _some(rows)
        return _all(chosen, target.ask("push_spans_present", **_wanted(chosen)))


def _inserts(store: Store, table: str, begin: Place) -> Iterator[Insert]:
    page: list[list[Any]] | None = None
    while page is None or len(page) == _INSERTS_A_PAGE:
        page = store.ask("push_inserts", table=table, **begin._asdict(), limit=_INSERTS_A_PAGE)
        for row in page:
            yield Insert(*row)
            begin = Place(row[0] + 1, 0)


def _between(
    window: Window, after: Cursor | None, last: Cursor | None = None
) -> dict[str, Parameter]:
    number, offset = (after[0], int(after[1]) + 1) if after else window.begin
    end_number, end_offset = (last[0], int(last[1]) + 1) if last else window.end
    return {
        "number": number, "offset": offset, "end_number": end_number, "end_offset": end_offset,
        "since": window.since, "until": window.until,
    }  # fmt: skip


def _following(window: Window, after: Cursor | None) -> dict[str, Parameter]:
    names = ("trace", "started", "span", "row_number", "row_offset")
    # Before all spans, also before one of 1900.
    first: Cursor = ["", -(1 << 63), "", 0, 0]
    given: dict[str, Parameter] = dict(zip(names, after or first, strict=True))
    begin, end = window.begin, window.end
    given |= {"number": begin.number, "offset": begin.offset}
    return given | {"end_number": end.number, "end_offset": end.offset}


def _some(rows: Sequence[Row]) -> Sequence[Row]:
    return rows[:: -(-len(rows) // _LOOKED_FOR)]


def _wanted(rows: Sequence[Row]) -> dict[str, Parameter]:
    return {
        "found_by": sorted({row.found_by for row in rows}),
        "marks": sorted({row.mark for row in rows}),
    }


def _all(rows: Sequence[Row], answer: list[list[Any]]) -> bool:
    return bool(answer[0][0] == len({row.mark for row in rows}))
