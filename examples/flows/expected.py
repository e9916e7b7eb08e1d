"""What each command leads to, the same in all flows."""

from __future__ import annotations

from typing import Any, NamedTuple


Node = dict[str, Any]


class Shape(NamedTuple):
    """
    An envelope and what it caused.

    Args:
        type: Such as ``OrderPlaced``.
        source: Who made it.
        then: What it caused.
    """

    type: str
    source: str
    then: tuple[Shape, ...] = ()


SHIPPED = Shape("ShipOrder", "shipping", (Shape("OrderShipped", "shipping"),))
PLACED = Shape("PlaceOrder", "web-shop", (Shape("OrderPlaced", "orders", (SHIPPED,)),))
REJECTED = Shape("PlaceOrder", "web-shop", (Shape("OrderRejected", "orders"),))
FAILED = Shape("PlaceOrder", "web-shop")


def shape_of(node: Node) -> Shape:
    """What a node of a tree (``GET /api/tree/{id}``) and those below it say."""
    children = sorted(map(shape_of, node["children"]))
    source = node["source"]["name"] if node["source"] else ""
    return Shape(node["type"], source, tuple(children))


def is_complete(root: Node, expected: Shape) -> bool:
    """Whether a tree has this shape, and of each of its commands it is known how it ended."""
    commands = [node for node in nodes_of(root) if node["kind"] == "command"]
    return shape_of(root) == expected and all(node["deliveries"] for node in commands)


def nodes_of(root: Node) -> list[Node]:
    """All nodes of a tree, each before those below it."""
    return [root, *(node for child in root["children"] for node in nodes_of(child))]
