"""
What can be asked of a store.

Answers are plain data, the same in this process and as JSON over HTTP. All raise `StoreError`.
"""

from __future__ import annotations

import json
import re
import time

from itertools import pairwise
from typing import Any, NamedTuple

from otelope.model import identity
from otelope.store.clickhouse import Store
from otelope.store.deliveries import STUCK_AFTER_MS, delivery
from otelope.store.lineage import Family
from otelope.store.trees import ENVELOPE_COLUMNS, Tree, assemble, envelope_node


SHORTEST_PREFIX = 6

_MOST_ENVELOPES = 100_000
_MOST_CANDIDATES = 20
_MOST_ROWS = 10_000
_FIRST_NANOSECOND = -(1 << 63)
_LAST_NANOSECOND = (1 << 63) - 1
_ONE_BLOCK = 1_000_000  # µs
_IDS_AT_ONCE = 4000
_UUID_GROUPS = (8, 12, 16, 20)
_UUID_DIGITS = 32
_hex = re.compile(r"[0-9a-f-]+", re.IGNORECASE)


class TooShortError(ValueError):
    """A prefix of fewer than `SHORTEST_PREFIX` characters."""


class Candidates(NamedTuple):
    """The envelopes that an ambiguous prefix, or a trace of several trees, may mean."""

    candidates: list[dict[str, Any]]


class Page(NamedTuple):
    """
    What was stored after a cursor.

    Args:
        cursor: Where the next page begins; opaque.
        items: Envelopes (``"what": "envelope"``) and failed handlings (``"what": "failure"``),
            in the order they were stored.
    """

    cursor: str
    items: list[dict[str, Any]]


def tree(store: Store, name: str, limit: int = _MOST_ENVELOPES) -> Tree | Candidates | None:
    """
    The whole causation tree around an envelope.

    Args:
        store: Where to look.
        name: The id of any envelope of the tree, a prefix of it, or the id of its trace.
        limit: A tree of more envelopes is cut off, and says ``truncated``.

    Returns:
        The tree; the candidates when the name may mean several; None when it means nothing.

    Raises:
        TooShortError: The name is neither a whole id nor long enough for a prefix.
    """
    name = name.strip()
    family = Family(store, limit)
    envelope_id = identity.canonical(name)
    if family.find(envelope_id):
        return _tree_around(store, family, envelope_id)
    if len(name) < SHORTEST_PREFIX:
        raise TooShortError(f"{name!r} is too short: give {SHORTEST_PREFIX} characters or more.")
    if len(name) == _UUID_DIGITS and _hex.fullmatch(name):
        found = _tree_of_trace(store, family, name.lower())
        if found is not None:
            return found
    rows = store.ask("candidates", first=name, second=_uuid_prefix(name), limit=_MOST_CANDIDATES)
    if len(rows) == 1:
        family.find(rows[0][0])
        return _tree_around(store, family, rows[0][0])
    if rows and rows[0][6] == 1:
        # The ids of one chain begin alike: what they share names their tree.
        return _tree_of_trace(store, family, rows[0][5])
    return Candidates([_candidate(row) for row in rows]) if rows else None


def envelope(store: Store, envelope_id: str) -> dict[str, Any] | None:
    """One envelope with its body, the full envelope as JSON text."""
    rows = store.ask("envelope", id=identity.canonical(envelope_id))
    if not rows:
        return None
    row = rows[0]
    known = envelope_node([*row[:9], *row[11:17]])
    known.update(
        parent_type=row[9] or None,
        parent_source=row[10] or None,
        body=row[17],
    )
    return known


def find(
    store: Store,
    *,
    type: str = "",  # noqa: A002 - the envelope's word
    source: str = "",
    channel: str = "",
    since: float | None = None,
    until: float | None = None,
    failed: bool | None = None,
    stuck: bool = False,
    text: str = "",
    limit: int = 100,
) -> list[dict[str, Any]]:
    """
    Envelopes that satisfy every filter given, the newest first.

    Args:
        store: Where to look.
        type, source, channel: Exactly these.
        since, until: Unix milliseconds.
        failed: Whether anything that was done with it failed.
        stuck: Only what has waited in an outbox for more than a minute.
        text: Occurs in the envelope's JSON, in any case.
        limit: At most this many.
    """
    rows = store.ask(
        "find",
        type=type,
        source=source,
        channel=channel,
        since=_nanoseconds(since, _FIRST_NANOSECOND),
        until=_nanoseconds(until, _LAST_NANOSECOND),
        failed=-1 if failed is None else int(failed),
        stuck=_nanoseconds(time.time() * 1000 - STUCK_AFTER_MS, 0) if stuck else 0,
        text=text,
        limit=max(1, min(limit, _MOST_ROWS)),
    )
    return [{**envelope_node(row), "failed": bool(row[len(ENVELOPE_COLUMNS)])} for row in rows]


def tail(store: Store, after: str | None = None, limit: int = 1000, last: int = 10) -> Page:
    """
    What was stored after a cursor; without one, the ``last`` envelopes stored.

    Raises:
        ValueError: The cursor is none that this function gave out.
    """
    if after:
        envelopes, failures = _positions(after)
    else:
        newest = store.ask("tail_start", limit=last + 1)
        stored, envelope_id = newest[-1] if len(newest) > last else (0, "")
        envelopes = (int(stored), str(envelope_id))
        # The handlings of one block are stored a little before its envelopes.
        failures = (max(0, envelopes[0] - _ONE_BLOCK), "")
    items: list[tuple[int, dict[str, Any]]] = []
    for row in _stored_after(store, "tail_envelopes", envelopes, limit):
        envelopes = (row[-1], row[0])
        items.append((row[-1], {"what": "envelope", **envelope_node(row)}))
    for row in _stored_after(store, "tail_failures", failures, limit):
        failures = (row[-1], row[0] + row[13])
        failure = {"what": "failure", "id": row[0], "type": row[1], **delivery(row[2:])}
        items.append((row[-1], failure))
    items.sort(key=lambda item: item[0])
    return Page(json.dumps([envelopes, failures]), [item for _, item in items])


def processes(store: Store, limit: int = 1000) -> list[dict[str, Any]]:
    """What each instrumented process last said of itself, the latest first."""
    return [
        {
            "service": service,
            "version": version,
            "instance": instance,
            "pid": int(pid) if pid.isdecimal() else None,
            "last_seen": last_seen,
            "status": _json_or_text(status),
        }
        for service, version, instance, pid, last_seen, status in store.ask(
            "processes", limit=limit
        )
    ]


def interactions(store: Store, since: float = 0, limit: int = 1000) -> list[dict[str, Any]]:
    """Who caused what in whom since a moment (Unix ms, to the hour), the most frequent first."""
    names = ("parent_source", "source", "parent_type", "type", "channel", "count", "last")
    # An hour is a DateTime, which has none before 1970.
    rows = store.ask("interactions", since=_nanoseconds(max(0, since), 0), limit=limit)
    return [dict(zip(names, row, strict=True)) for row in rows]


def spans(store: Store, trace_id: str, limit: int = _MOST_ROWS) -> list[dict[str, Any]]:
    """The spans of a trace, in the order they started."""
    names = ("started", "span_id", "parent_span_id", "name", "kind", "service", "attributes",
             "duration_ms", "status", "status_message")  # fmt: skip
    answers = []
    for row in store.ask("spans_of_trace", trace_id=trace_id.lower(), limit=limit):
        span = dict(zip(names, row, strict=False))
        pairs = zip(row[10], row[11], strict=True)
        span["links"] = [{"trace_id": trace, "span_id": span_id} for trace, span_id in pairs]
        answers.append(span)
    return answers


def health(store: Store) -> dict[str, Any]:
    """How many rows and bytes each table holds; duplicates not yet merged are included."""
    return {name: {"rows": rows, "bytes": size} for name, rows, size in store.ask("health")}


def _tree_around(store: Store, family: Family, envelope_id: str) -> Tree:
    root = family.root_of(envelope_id)
    family.read_descendants(root)
    ids = [root, *(each for each in family.nodes if each != root)]
    rows: list[list[Any]] = []
    for start in range(0, len(ids), _IDS_AT_ONCE):
        rows += store.ask("deliveries_of_envelopes", ids=ids[start : start + _IDS_AT_ONCE])
    return assemble(root, family.nodes, rows, truncated=family.truncated)


def _tree_of_trace(store: Store, family: Family, trace_id: str) -> Tree | Candidates | None:
    family.read_trace(trace_id)
    members = list(family.nodes)
    if not members:
        members = [row[0] for row in store.ask("delivered_in_trace", trace_id=trace_id, limit=100)]
        members = [each for each in members if family.find(each)]
    roots = {family.root_of(each): each for each in members}
    if not roots:
        return None
    if len(roots) == 1:
        return _tree_around(store, family, next(iter(roots.values())))
    # A root that nobody recorded is shown by its first recorded descendant.
    shown = [family.nodes.get(root) or family.nodes[each] for root, each in roots.items()]
    shown.sort(key=lambda node: (-node["timestamp"], node["id"]))
    return Candidates(
        [
            {key: node[key] for key in ("id", "type", "timestamp", "source")}
            for node in shown[:_MOST_CANDIDATES]
        ]
    )


def _candidate(row: list[Any]) -> dict[str, Any]:
    return {
        "id": row[0],
        "type": row[1],
        "timestamp": row[2],
        "source": {"name": row[3], "version": row[4]},
    }


def _uuid_prefix(prefix: str) -> str:
    """How a UUID that begins with these digits is spelt; other prefixes stay as they are."""
    if not _hex.fullmatch(prefix):
        return prefix
    digits = prefix.replace("-", "").lower()
    edges = [0, *(edge for edge in _UUID_GROUPS if edge < len(digits)), len(digits)]
    spelt = "-".join(digits[a:b] for a, b in pairwise(edges))
    return spelt + "-" if prefix.endswith("-") and len(digits) in _UUID_GROUPS else spelt


def _stored_after(
    store: Store, question: str, position: tuple[int, str], limit: int
) -> list[list[Any]]:
    stored, last_id = position
    return store.ask(
        question,
        stored=stored,
        id=last_id,
        hold_back_ms=store.hold_back_ms,
        limit=max(1, min(limit, _MOST_ROWS)),
    )


def _positions(cursor: str) -> tuple[tuple[int, str], tuple[int, str]]:
    try:
        (stored, envelope_id), (failure_stored, failure_id) = json.loads(cursor)
        return (int(stored), str(envelope_id)), (int(failure_stored), str(failure_id))
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f"{cursor!r} is no cursor of otelope's tail.") from None


def _nanoseconds(moment: float | None, default: int) -> int:
    if moment is None:
        return default
    return max(_FIRST_NANOSECOND, min(int(moment * 1_000_000), _LAST_NANOSECOND))


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
