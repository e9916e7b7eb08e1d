"""Collects the envelopes of one causation tree, up to the root and down to the last descendant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from otelope.model import identity
from otelope.store.clickhouse import Store
from otelope.store.trees import Node, envelope_node


# Ids per question: 4,000 of them in a URL stay below the 1 MB that a ClickHouse server accepts.
_IDS_AT_ONCE = 4000
# Generations that are each in a trace of their own cost a question each (10 ms). After so many
# in a row a page of the whole store is read instead (0.5 s), which mostly has all the others.
_GENERATIONS_A_PAGE = 32
_ROWS_A_PAGE = 200_000
# How far the clocks of services may differ for a page to be of use.
_CLOCKS_DIFFER_NS = 60_000_000_000
# A lineage is the first 16 hexadecimal digits of an id, and two hyphens.
_LINEAGE_LENGTH = 18


class Family:
    """
    The envelopes read so far around one of them.

    A whole trace is read at once, and a whole lineage: both are one range. Only what crosses
    from one trace to another is followed from parent to children.

    Args:
        store: Where they are.
        limit: After this many envelopes it stops reading; `truncated` says so.
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._traces: set[str] = set()
        self._lineages: set[str] = set()
        self._versions: dict[str, int] = {}
        self._children: dict[str, set[str]] = {}
        self.nodes: dict[str, Node] = {}
        self.truncated = False

    def find(self, envelope_id: str) -> bool:
        """Whether this envelope is recorded; reads what its id says is near it."""
        if envelope_id not in self.nodes:
            who = identity.identify(envelope_id)
            if who.minted:
                self._read_traces([f"{who.trace_id:032x}"])
        if envelope_id not in self.nodes:
            self._add(self._ask("envelopes_by_id", ids=[envelope_id]))
        return envelope_id in self.nodes

    def read_trace(self, trace_id: str) -> None:
        """Read all envelopes of a trace."""
        self._read_traces([trace_id])

    def root_of(self, envelope_id: str) -> str:
        """
        The first ancestor, recorded or not; reads the ancestors.

        Where parents go round in a circle, the earliest of the circle.
        """
        path: dict[str, None] = {}
        asked = 0
        previous = current = envelope_id
        while current not in path:
            path[current] = None
            if current not in self.nodes:
                asked += 1
                if asked % _GENERATIONS_A_PAGE == 0:
                    self._read_ancestors(previous, current)
                if not self.find(current):
                    return current
            parent = self.nodes[current]["parent_id"]
            if parent is None or self.truncated:
                return current
            previous, current = current, parent
        ids = list(path)
        circle = ids[ids.index(current) :]
        return min(circle, key=lambda each: (self.nodes[each]["timestamp"], each))

    def read_descendants(self, envelope_id: str) -> None:
        """Read everything that this envelope caused, directly or not."""
        reached = {envelope_id}
        frontier = {envelope_id}
        asked = 0
        while frontier and not self.truncated:
            asked += 1
            if asked % _GENERATIONS_A_PAGE == 0:
                self._read_page_after(frontier)
            new = self._closure(frontier)
            reached |= new
            before = set(self.nodes)
            self._expand(sorted(new))
            fresh = self.nodes.keys() - before
            frontier = {each for each in fresh if self.nodes[each]["parent_id"] in reached}

    def _closure(self, ids: set[str]) -> set[str]:
        """These and all descendants of theirs that are read already."""
        closure = set(ids)
        pending = list(ids)
        while pending:
            kin = self._children.get(pending.pop(), set()) - closure
            closure |= kin
            pending.extend(kin)
        return closure

    def _read_page_after(self, frontier: set[str]) -> None:
        known = [self.nodes[each]["timestamp"] for each in frontier if each in self.nodes]
        moment = int(min(known, default=0) * 1e6) - _CLOCKS_DIFFER_NS
        children: dict[str, list[str]] = {}
        for child, parent in self._kin("kin_after", moment):
            children.setdefault(parent, []).append(child)
        found: dict[str, None] = {}
        pending = list(frontier)
        while pending and len(found) < self._limit:
            kin = [each for each in children.get(pending.pop(), ()) if each not in found]
            found.update(dict.fromkeys(kin))
            pending.extend(kin)
        self._read_ids(found)

    def _read_ancestors(self, known: str, missing: str) -> None:
        moment = int(self.nodes[known]["timestamp"] * 1e6) + _CLOCKS_DIFFER_NS
        parents = dict(self._kin("kin_before", moment))
        found: dict[str, None] = {}
        current: str | None = missing
        while current and current not in found and len(found) < self._limit:
            found[current] = None
            current = parents.get(current)
        self._read_ids(found)

    def _kin(self, question: str, moment: int) -> list[list[str]]:
        return self._store.ask(question, moment=max(0, moment), limit=_ROWS_A_PAGE)

    def _read_ids(self, ids: Iterable[str]) -> None:
        for some in _portions([each for each in ids if each not in self.nodes]):
            self._add(self._ask("envelopes_by_id", ids=some))

    def _expand(self, ids: list[str]) -> None:
        known = sorted(self._traces)[:_IDS_AT_ONCE]
        for some in _portions(ids):
            self._add(self._ask("envelopes_by_parent", ids=some, known=known))

    def _add(self, rows: list[list[Any]]) -> None:
        new = self._keep(rows)
        self._read_traces({node["trace_id"] for node in new})
        self._read_lineages(new)

    def _read_traces(self, trace_ids: Iterable[str]) -> None:
        unread = sorted(set(trace_ids) - self._traces)
        self._traces.update(unread)
        for some in _portions(unread):
            self._keep(self._ask("envelopes_of_traces", trace_ids=some))

    def _read_lineages(self, nodes: list[Node]) -> None:
        # Only where every envelope has a trace of its own does the lineage say more than it.
        for node in nodes:
            who = identity.identify(node["id"])
            lineage = node["id"][:_LINEAGE_LENGTH]
            if who.minted and lineage not in self._lineages:
                self._lineages.add(lineage)
                if f"{who.trace_id:032x}" != node["trace_id"]:
                    self._keep(self._ask("envelopes_of_lineage", lineage=lineage))

    def _keep(self, rows: list[list[Any]]) -> list[Node]:
        """Keep each envelope's best record; of sender and receiver, traces may differ."""
        new = []
        for *row, version in rows:
            known = self._versions.get(row[0])
            if known is None or version > known:
                self._versions[row[0]] = version
                self.nodes[row[0]] = node = envelope_node(row)
                self._children.setdefault(node["parent_id"], set()).add(node["id"])
            if known is None:
                new.append(self.nodes[row[0]])
        return new

    def _ask(self, question: str, **parameters: str | list[str]) -> list[list[Any]]:
        rows = self._store.ask(question, limit=self._limit + 1, **parameters)
        self.truncated = self.truncated or len(rows) + len(self.nodes) > self._limit
        return rows


def _portions(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[start : start + _IDS_AT_ONCE]
