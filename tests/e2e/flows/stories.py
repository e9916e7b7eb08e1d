"""A tree as text without times and ids: what happened to each envelope, and what it caused."""

from __future__ import annotations

from typing import Any


Node = dict[str, Any]


def story_of(root: Node) -> str:
    """
    A line per envelope, indented below its cause, and below it a line for each of its marks.

    ```
    PlaceOrder by web-shop
      - handled by orders
      - stored in orders-db by orders
      OrderPlaced by orders
        ...
    ```
    """
    return "\n".join(_lines(root))


def repeated(story: str, times: int) -> str:
    """The same, of a command and messages that came so many times: nothing is stored again."""
    again = ("- handled", "- sent")
    return "\n".join(
        line
        for line in story.splitlines()
        for _ in range(times if line.lstrip().startswith(again) else 1)
    )


def marks_of(node: Node) -> list[str]:
    """What is told of one envelope, such as ``handled by orders``; a failure behind a colon."""
    stores = [
        f"stored in {'the outbox of ' if each['outbox'] else ''}{_where(each)}"
        for each in node["stores"]
    ]
    sends = [f"sent to {_where(each)}" for each in node["sends"]]
    return sorted([*(f"handled {_who(each)}" for each in node["deliveries"]), *stores, *sends])


def _lines(node: Node) -> list[str]:
    source = node["source"]["name"] if node["source"] else "?"
    children = sorted(_lines(child) for child in node["children"])
    below = [f"- {mark}" for mark in marks_of(node)]
    below += [line for child in children for line in child]
    return [f"{node['type']} by {source}", *(f"  {line}" for line in below)]


def _where(mark: dict[str, Any]) -> str:
    return f"{mark['channel']} {_who(mark)}"


def _who(mark: dict[str, Any]) -> str:
    if mark["outcome"] == "ok":
        return f"by {mark['service']}"
    error = str(mark["error_type"] or "").rpartition(".")[2]
    return f"by {mark['service']}: {error or mark['outcome']}"
