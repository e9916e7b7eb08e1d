"""What the store has of a chain: its tree, and the spans that were exported for it."""

from __future__ import annotations

import time

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import httpx


T = TypeVar("T")
Span = dict[str, Any]
Node = dict[str, Any]

ENVELOPE_ID = "otelope.envelope.id"


class Chain(NamedTuple):
    """
    One chain as the store knows it.

    Args:
        nodes: Its envelopes, from the root down; each caused the next.
        spans: All spans, by id, of all traces that any of its envelopes or deliveries stands in or
            is linked to.
    """

    nodes: list[Node]
    spans: dict[str, Span]

    @property
    def deliveries(self) -> list[dict[str, Any]]:
        """The handlings, in the order of the envelopes."""
        return [delivery for node in self.nodes for delivery in node["deliveries"]]

    def envelope_span(self, node: Node) -> Span:
        """The span of an envelope: the one that has its ids."""
        return self.spans[node["span_id"]]

    def orphans(self) -> list[Span]:
        """Spans whose parent was never exported."""
        return [
            span
            for span in self.spans.values()
            if span["parent_span_id"] and span["parent_span_id"] not in self.spans
        ]

    def __str__(self) -> str:
        lines = []
        for span in sorted(self.spans.values(), key=lambda span: float(span["started"])):
            links = " ".join(link["span_id"] for link in span["links"])
            lines.append(
                f"{span['trace_id'][:6]} {span['parent_span_id'] or '-':16} > {span['span_id']} "
                f"{span['service']}: {span['name']} [{span['kind']}] links {links or '-'}"
            )
        return "\n".join(lines)

    def parents_by_span(self) -> list[str | None]:
        """For each envelope the one whose span is the nearest above its own; None for a root."""
        by_span = {node["span_id"]: node["id"] for node in self.nodes}
        return [
            next(
                (
                    by_span[above["span_id"]]
                    for above in self._above(self.spans[node["span_id"]])
                    if above["span_id"] in by_span
                ),
                None,
            )
            for node in self.nodes
        ]

    def pieces(self) -> list[list[str]]:
        """
        The parts that the chain fell into, each with the envelopes that its spans are linked to.

        Each part is what stands below one span without a parent.
        """
        envelopes = {node["span_id"]: node["type"] for node in self.nodes}
        own = [self.spans[each["span_id"]] for each in (*self.nodes, *self.deliveries)]
        found: dict[str, list[str]] = {}
        for span in own:
            *_, top = (span, *self._above(span))
            links = found.setdefault(top["span_id"], [])
            links += [envelopes[x["span_id"]] for x in span["links"] if x["span_id"] in envelopes]
        return list(found.values())

    def _above(self, span: Span) -> Iterator[Span]:
        while span := self.spans.get(span["parent_span_id"], {}):
            yield span


class Store:
    """The store behind an `otelope up`, which answers at this URL."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def nodes(
        self,
        root: str,
        length: int,
        pause: Callable[[float], None],
        complete: Callable[[list[Node]], bool] = lambda nodes: all(
            node["deliveries"] for node in nodes
        ),
    ) -> list[Node]:
        """
        The envelopes of the chain from this root, as soon as all are there and handled.

        Args:
            root: The id of the first.
            length: How many there are.
            pause: Lets time pass; raises when something has gone wrong meanwhile.
            complete: Whether nothing more is to come, when all are there.
        """
        return _awaited(
            lambda: self._nodes(root, length, complete),
            pause,
            lambda: self._client.get(f"/api/tree/{root}").text,
        )

    def chain(self, nodes: list[Node]) -> Chain:
        """These envelopes with their spans, as soon as all are there."""
        return _awaited(lambda: self._with_spans(nodes), time.sleep, lambda: nodes)

    def interactions(self, type_: str, source: str) -> list[dict[str, Any]]:
        """What caused envelopes of this type and source, and how many."""
        found: list[dict[str, Any]] = self._client.get("/api/interactions").json()
        return [each for each in found if (each["type"], each["source"]) == (type_, source)]

    def close(self) -> None:
        self._client.close()

    def _nodes(
        self, root: str, length: int, complete: Callable[[list[Node]], bool]
    ) -> list[Node] | None:
        answer = self._client.get(f"/api/tree/{root}")
        if answer.status_code != httpx.codes.OK:
            return None
        nodes = list(_line(answer.json()["root"]))
        return nodes if len(nodes) == length and complete(nodes) else None

    def _with_spans(self, nodes: list[Node]) -> Chain | None:
        stand_at = {
            (each["trace_id"], each["span_id"])
            for node in nodes
            for each in (node, *node["deliveries"])
        }
        spans: dict[str, Span] = {}
        for trace_id in {trace_id for trace_id, _ in stand_at}:
            spans.update(self._spans(trace_id))
        linked = {link["trace_id"] for span in spans.values() for link in span["links"]}
        for trace_id in linked.difference(span["trace_id"] for span in spans.values()):
            spans.update(self._spans(trace_id))
        found = {(span["trace_id"], span["span_id"]) for span in spans.values()}
        return Chain(nodes, spans) if stand_at <= found else None

    def _spans(self, trace_id: str) -> dict[str, Span]:
        spans = self._client.get(f"/api/spans/{trace_id}").json()
        return {span["span_id"]: {**span, "trace_id": trace_id} for span in spans}


def _awaited(
    answer: Callable[[], T | None], pause: Callable[[float], None], seen: Callable[[], object]
) -> T:
    deadline = time.monotonic() + 60
    while (found := answer()) is None:
        assert time.monotonic() < deadline, f"incomplete after 60 s: {seen()}"
        pause(0.4)  # each question costs the store 20 to 50 ms
    return found


def _line(node: Node) -> Iterator[Node]:
    while True:
        yield node
        if not node["children"]:
            return
        # Each envelope of these chains causes one other at most.
        (node,) = node["children"]
