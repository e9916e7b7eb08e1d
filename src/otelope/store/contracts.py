"""What left, type by type, and what a contract says of it."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

from otelope.store.clickhouse import Store


_MOST_ROWS = 100_000
_LAST_NANOSECOND = (1 << 63) - 1


class _Row(NamedTuple):
    """One field of one type, or the type itself: see ``sql/queries/contracts.sql``."""

    type: str
    field: str
    total: bool
    left_in: int
    found_in: int
    leaked_in: int
    in_contract: bool


def contracts(
    store: Store,
    since: float = 0,
    type: str = "",  # noqa: A002 - the envelope's word
    limit: int = _MOST_ROWS,
) -> list[dict[str, Any]]:
    """
    What left since a moment (Unix ms, to the hour), by type.

    Each has ``envelopes``, how many there were; ``declared``, the fields of its contracts, or None
    when nobody declared one; ``left``, how many envelopes each field left in; and ``leaked``, how
    many of those were beyond a contract.

    Raises:
        StoreError: The store cannot answer.
    """
    answer = store.ask(
        "contracts",
        since=max(0, min(int(since * 1_000_000), _LAST_NANOSECOND)),
        type=type,
        limit=limit,
    )
    rows = [_Row(*row) for row in answer]
    of_types = (_of_type(name, list(own)) for name, own in groupby(rows, lambda row: row.type))
    return [each for each in of_types if each["envelopes"]]


def _of_type(name: str, rows: list[_Row]) -> dict[str, Any]:
    fields = [row for row in rows if not row.total]
    declared = None
    # Without a contract all of an envelope leaves, also of one that only its maker told of.
    left = {row.field: row.found_in for row in fields}
    leaked = {}
    if any(row.in_contract for row in fields):
        declared = [row.field for row in fields if row.in_contract and row.field]
        left = {row.field: row.left_in for row in fields}
        # Also what a process that does not know the contract sent beyond it.
        leaked = {row.field: row.leaked_in if row.in_contract else row.left_in for row in fields}
    return {
        "type": name,
        "envelopes": sum(row.left_in for row in rows if row.total),
        "declared": declared,
        "left": {field: count for field, count in left.items() if count},
        "leaked": {field: count for field, count in leaked.items() if count},
    }
