"""Causation trees as plain data: put together, flattened and written without recursion."""

from __future__ import annotations

import json
import time

from collections.abc import Iterable, Iterator
from typing import Any

from otelope.store.deliveries import delivery, story


Node = dict[str, Any]
Tree = dict[str, Any]

ENVELOPE_COLUMNS = (
    "id", "type", "kind", "kind_inferred", "timestamp", "source_name", "source_version",
    "parent_id", "parent_inferred", "lag_ms", "channel", "cause_span_id", "trace_id", "span_id",
    "service",
)  # fmt: skip


def envelope_node(row: list[Any]) -> Node:
    """An envelope's row, columns as `ENVELOPE_COLUMNS`, as a node without kin or deliveries."""
    node = dict(zip(ENVELOPE_COLUMNS, row, strict=False))
    node["source"] = {"name": node.pop("source_name"), "version": node.pop("source_version")}
    node["kind"] = node["kind"] or None
    node["channel"] = node["channel"] or None
    node["parent_id"] = node["parent_id"] or None
    node["cause_span_id"] = node["cause_span_id"] or None
    node["missing"] = False
    return node


def missing_node(envelope_id: str) -> Node:
    """A node for an envelope that others name as their parent and nobody recorded."""
    return {
        "id": envelope_id, "type": None, "kind": None, "kind_inferred": False, "timestamp": None,
        "source": None, "parent_id": None, "parent_inferred": False, "lag_ms": None,
        "channel": None, "cause_span_id": None, "trace_id": None, "span_id": None, "service": None,
        "missing": True,
    }  # fmt: skip


def assemble(
    root_id: str,
    envelopes: dict[str, Node],
    deliveries: Iterable[list[Any]],
    *,
    truncated: bool = False,
    now: float | None = None,
) -> Tree:
    """
    The tree under a root.

    Args:
        root_id: An id of ``envelopes``, or of one that is missing.
        envelopes: Nodes by id; those that do not descend from the root are left out.
        deliveries: Rows whose first column is the envelope's id.
        truncated: Whether there are more envelopes than were read.
        now: Unix milliseconds; by default, now.
    """
    children: dict[str, list[Node]] = {}
    for node in envelopes.values():
        if node["parent_id"]:
            children.setdefault(node["parent_id"], []).append(node)
    done: dict[str, list[dict[str, Any]]] = {}
    for row in deliveries:
        done.setdefault(row[0], []).append(delivery(row[1:]))
    now = time.time() * 1000 if now is None else now

    root = envelopes.get(root_id) or missing_node(root_id)
    # A node has one place, also where parents go round in a circle.
    placed = {root_id}
    pending = [root]
    trace_ids: dict[str, None] = {}
    counts = {"envelopes": 0, "deliveries": 0, "failed": 0}
    while pending:
        node = pending.pop()
        own = done.get(node["id"], [])
        kin = [child for child in children.get(node["id"], ()) if child["id"] not in placed]
        kin.sort(key=lambda child: (child["timestamp"], child["id"]))
        placed.update(child["id"] for child in kin)
        for child in kin:
            if child["lag_ms"] is None and not node["missing"]:
                child["lag_ms"] = round(child["timestamp"] - node["timestamp"], 6)
        node.update(story(own, now))
        if node["channel"] is None and node["sends"]:
            node["channel"] = node["sends"][0]["channel"]
        node["children"] = kin
        pending.extend(kin)
        if not node["missing"]:
            counts["envelopes"] += 1
            trace_ids.setdefault(node["trace_id"])
        counts["deliveries"] += len(node["deliveries"])
        counts["failed"] += sum(found["outcome"] == "error" for found in own)
    return {
        "root": root,
        "trace_ids": sorted(trace_ids),
        "counts": counts,
        "truncated": truncated,
    }


def dump(tree: Tree) -> Iterator[str]:
    """
    A tree as JSON text, in pieces.

    Any depth can be written; a JSON reader may refuse more than about 500 generations: ask for
    the flat form then.
    """
    rest = {key: value for key, value in tree.items() if key != "root"}
    yield '{"root":'
    pending: list[Node | str] = [tree["root"]]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
            continue
        own = {key: value for key, value in item.items() if key != "children"}
        yield _json(own)[:-1] + ',"children":['
        pending.append("]}")
        for position, child in enumerate(reversed(item["children"])):
            if position:
                pending.append(",")
            pending.append(child)
    yield "," + _json(rest)[1:]


def flatten(tree: Tree) -> Tree:
    """
    The flat form of a tree: ``nodes`` instead of ``root``, each before its descendants.

    A node has ``parent``, the index of its parent node (None for the root, the first), instead
    of ``children``. `nest` is the inverse.
    """
    nodes: list[Node] = []
    pending: list[tuple[Node, int | None]] = [(tree["root"], None)]
    while pending:
        node, parent = pending.pop()
        flat = {key: value for key, value in node.items() if key != "children"}
        flat["parent"] = parent
        pending.extend((child, len(nodes)) for child in reversed(node["children"]))
        nodes.append(flat)
    rest = {key: value for key, value in tree.items() if key != "root"}
    return {"nodes": nodes, **rest}


def nest(flat: Tree) -> Tree:
    """The tree of which this is the flat form."""
    nodes: list[Node] = [{**node, "children": []} for node in flat["nodes"]]
    for node in nodes:
        parent = node.pop("parent")
        if parent is not None:
            nodes[parent]["children"].append(node)
    rest = {key: value for key, value in flat.items() if key != "nodes"}
    return {"root": nodes[0], **rest}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
