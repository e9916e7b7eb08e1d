"""
What a data directory holds, copied to a ClickHouse server. Stopped anywhere, it can go on.

Log records and spans are copied. All else the views make of the log records, there as they did
here; a row of ``envelopes`` that was copied besides would be in a tail twice. A directory keeps
its log records for ever, so nothing is in another table alone.

``inserted`` is when a row came to the server. Who follows its tail is shown it, `--keep-envelopes`
counts from there, and `otelope up --stitch` looks at it: what is old when it comes is as new as
all else that comes.

A block is noted in the ledger before it is sent, and after. Where only the first is noted, it is
sent again with its token. Where the token may be forgotten, it is first seen whether the rows are
there; then only what the views make of them is inserted again, for the server may have died
between the two.
"""

from __future__ import annotations

import hashlib
import time

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec

from otelope.store import schema
from otelope.store.blocks import MOST_ROWS, Place, Window, blocks
from otelope.store.clickhouse import NAMED_ROWS, Store
from otelope.store.errors import StoreError
from otelope.store.ledger import Block, Copied, Cursor, Ledger
from otelope.store.pushed import Logs, Pushed, Selected, Spans


# A server knows 10,000 blocks (sql/schema), a replicated table none for more than an hour.
_KNOWN_SECONDS = 600.0
_NO_UUID = "00000000-0000-0000-0000-000000000000"


class _Read(NamedTuple):
    """The rows of a window that follow one, up to another; and how many they are."""

    window: Window
    after: Cursor | None
    last: Cursor
    size: int
    rows: bytes


class Push:
    """
    A copy that is to be made.

    Args:
        source: The store of a data directory; there is noted what is copied.
        target: That of a server.
        most_rows: Of a block.

    Attributes:
        left: How many rows are not copied yet, by table.
        copied: How many `run` has copied, by table.

    Raises:
        StoreError: One of the two cannot be asked, or this cannot be the rest of an earlier copy.
    """

    def __init__(self, source: Store, target: Store, most_rows: int = MOST_ROWS) -> None:
        self._source, self._target = source, target
        self._most_rows = most_rows
        (self._source_id, limited), *_ = source.ask("push_identity")
        if limited:
            raise StoreError(
                f"the log records in {source.where} are kept for a limited time: of what is "
                "gone, no server can make envelopes. ALTER TABLE otel_logs REMOVE TTL keeps the "
                "rest, which can be copied then"
            )
        # The servers of a cluster have the same: who makes a table ON CLUSTER draws its UUID for
        # all. One that joined later has its own.
        (target_id, _), *_ = target.ask("push_identity")
        if target_id == _NO_UUID:
            target_id = hashlib.sha256(target.where.encode()).hexdigest()[:32]
        ledgers = Path(source.where) / "pushed"
        self._ledger = Ledger(ledgers, self._source_id, target_id, target.where)
        self._tables: tuple[Pushed, ...] = (Logs(source, most_rows), Spans(source))
        self.left = {pushed.table: self._left(pushed.table) for pushed in self._tables}
        self.copied = dict.fromkeys(self.left, 0)

    def run(self) -> Iterator[int]:
        """
        Copy what is left, and give after every block how many rows it had.

        Raises:
            StoreError: It cannot go on; another `Push` can, from there.
        """
        for pushed in self._tables:
            copied = self._ledger.of(pushed.table)
            for rows in self._copy(pushed, copied):
                self.left[pushed.table] -= rows
                self.copied[pushed.table] += rows
                yield rows

    def _left(self, table: str) -> int:
        copied = self._ledger.of(table)
        place = copied.place._asdict()
        rows, before, _ = self._source.ask("push_counts", table=table, **place)[0]
        if before != copied.rows:
            raise StoreError(
                f"{copied.rows:,} rows of {table} were copied to {self._target.where}, and "
                f"{before:,} of them are in {self._source.where}: it is not what it was. Remove "
                f"{self._ledger.path} to copy all of it"
            )
        return int(rows - before - copied.rows_after)

    def _copy(self, pushed: Pushed, copied: Copied) -> Iterator[int]:
        if copied.window and copied.block:
            yield self._again(pushed, copied, copied.window, copied.block)
        rest = self._read(pushed, copied.place, copied.window, copied.after)
        with closing(_ahead(rest)) as reads:
            for read in reads:
                if read.window != copied.window:
                    _finish(copied)
                    copied.window = read.window
                copied.block = Block(read.last, read.size, time.time())
                self._ledger.save()
                self._send(pushed, read)
                yield self._arrived(copied, copied.block)
        _finish(copied)
        self._ledger.save()

    def _read(
        self, pushed: Pushed, place: Place, begun: Window | None, after: Cursor | None
    ) -> Iterator[_Read]:
        rest = pushed.windows(begun.end if begun else place)
        for window in chain([begun] if begun else [], rest):
            while outline := pushed.outline(window, after, self._most_rows):
                for cut in blocks([row.size for row in outline], self._most_rows):
                    last, size = outline[cut][-1].cursor, len(outline[cut])
                    rows = self._source.rows(*pushed.selected(window, after, last))
                    yield _Read(window, after, last, size, rows)
                    after = last
            after = None

    def _again(self, pushed: Pushed, copied: Copied, window: Window, block: Block) -> int:
        selected = pushed.selected(window, copied.after, block.last)
        old = time.time() - block.sent > _KNOWN_SECONDS
        if old and pushed.are_in(self._target, pushed.outline(window, copied.after, block.rows)):
            self._make_good(pushed, selected)
        else:
            rows = self._source.rows(*selected)
            self._send(pushed, _Read(window, copied.after, block.last, block.rows, rows))
        return self._arrived(copied, block)

    def _send(self, pushed: Pushed, read: _Read) -> None:
        # By its place too: what came twice is two blocks here, and there.
        place = [self._source_id, pushed.table, read.window, read.after, read.last]
        token = hashlib.blake2b(msgspec.json.encode(place), digest_size=16)
        token.update(read.rows)
        self._target.ingest(pushed.table, read.rows, f"push {token.hexdigest()}")

    def _make_good(self, pushed: Pushed, selected: Selected) -> None:
        base = f"FROM {pushed.table}\n"
        for view in schema.views():
            if base in view.select:
                statement = view.select.replace(base, f"FROM ({selected.statement})\n")
                rows = self._source.rows(statement, selected.parameters, NAMED_ROWS)
                self._target.put(view.target, rows)

    def _arrived(self, copied: Copied, block: Block) -> int:
        copied.after, copied.rows_after = block.last, copied.rows_after + block.rows
        copied.block = None
        self._ledger.save()
        return block.rows


def _finish(copied: Copied) -> None:
    if copied.window:
        copied.place, copied.rows = copied.window.end, copied.rows + copied.rows_after
        copied.window, copied.after, copied.rows_after = None, None, 0


def _ahead(reads: Iterator[_Read]) -> Generator[_Read]:
    """The same, each read while that before it is sent: 29 % faster with both on two cores."""
    with ThreadPoolExecutor(1, "otelope-push") as reader:
        coming = reader.submit(next, reads, None)
        while read := coming.result():
            coming = reader.submit(next, reads, None)
            yield read
