"""
Causation trees, and single envelopes, as lines of text.

Pure functions over the JSON of the daemon's answers; nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from otelope.cli.done_lines import delivery_line, joined, lag, send_line, service, store_line
from otelope.cli.moments import clock, duration
from otelope.cli.style import Style, printable
from otelope.model.identity import canonical


Node = dict[str, Any]

# A chain may be thousands of generations deep. Beyond these the branches are cut off on the left
# and counted, so that lines stay readable and the output grows with the tree, not its square.
_GENERATIONS_DRAWN = 24
_KINDS = {"command": "yellow", "event": "cyan"}
_SHORT_ID = 8


class _Place(NamedTuple):
    node: Node
    depth: int
    branches: str  # what stands left of its children
    last: bool


def tree_lines(
    tree: dict[str, Any], style: Style, *, asked: str | None = None, ids: bool = False
) -> Iterator[str]:
    """
    A causation tree, one line per envelope and what was done with it, and a summary.

    Args:
        tree: As answered by ``GET /api/tree/{id}``; of any depth.
        style: How it looks.
        asked: The id that was asked for; its line is marked.
        ids: Whether every line ends with the envelope's full id.
    """
    asked = canonical(asked) if asked is not None else None
    span = _Span()
    pending = [_Place(tree["root"], 0, "", last=True)]
    while pending:
        node, depth, branches, last = pending.pop()
        span.include(node)
        lead, below = _branches(style, depth, branches, last=last)
        mark = "  " + style.paint(style.marks.asked, "bold") if node["id"] == asked else ""
        yield lead + envelope_line(node, style, ids=ids, root=depth == 0) + mark
        children = node["children"]
        told = list(_told(node, style))
        for position, line in enumerate(told):
            final = not children and position == len(told) - 1
            lead, _ = _branches(style, depth + 1, below, last=final)
            yield lead + line
        pending.extend(
            _Place(child, depth + 1, below, last=position == 0)
            for position, child in enumerate(reversed(children))
        )
    yield _summary(tree, span, style)


def envelope_line(
    node: Node, style: Style, *, ids: bool = False, root: bool = False, clocked: bool = True
) -> str:
    """
    One envelope: type, kind, who sent it where, and when.

    A kind in parentheses is inferred from the type's name. What has a known parent has the time
    since then.

    Args:
        node: As in the JSON of a tree; deliveries and children are not looked at.
        style: How it looks.
        ids: Whether to end with the full id.
        root: Whether it begins a tree: a clock time, and at least a short id.
        clocked: Whether it has a clock time where no parent is known.
    """
    if node["missing"]:
        return joined(
            style.paint("not recorded", "bold", "yellow"),
            style.paint(printable(node["id"]), "dim"),
        )
    sender = service(node["source"]["name"] or node["service"], node["source"]["version"], style)
    channel = node["channel"]
    if channel:
        to = style.paint(style.marks.to, "dim")
        sender = f"{sender} {to} {style.paint(printable(channel), 'magenta')}".lstrip()
    if not root and node["lag_ms"] is not None:
        when = lag(node["lag_ms"], style)
    else:
        when = clock(node["timestamp"], style.zone) if clocked else ""
    identity = printable(node["id"])
    if not ids:
        identity = _short(identity, style) if root else ""
    return joined(
        style.paint(printable(node["type"]), "bold"),
        _kind(node, style),
        sender,
        style.paint(when, "dim"),
        style.paint("parent inferred", "yellow") if node["parent_inferred"] else "",
        style.paint(identity, "dim"),
    )


def _told(node: Node, style: Style) -> Iterator[str]:
    """What was done with an envelope, in order; its one sending needs no line of its own."""
    sends = [send for send in node["sends"] if send["outcome"] != "ok"] + _channels(node)
    lines = [(store["started"], store_line(store, style, node)) for store in node["stores"]]
    lines += [(send["started"], send_line(send, style)) for send in sends]
    lines += [
        (
            delivery["started"],
            delivery_line(
                delivery, style, sent_to=node["channel"], waited=node["outbox_ms"] is not None
            ),
        )
        for delivery in node["deliveries"]
    ]
    for _, line in sorted(lines, key=lambda line: line[0]):
        yield line


def _channels(node: Node) -> list[dict[str, Any]]:
    """Its sendings, where they lead to several channels."""
    sent = {send["channel"]: send for send in reversed(node["sends"]) if send["outcome"] == "ok"}
    return list(sent.values()) if len(sent) > 1 else []


def _kind(node: Node, style: Style) -> str:
    kind = node["kind"]
    if not kind:
        return ""
    text = f"({kind})" if node["kind_inferred"] else kind
    return style.paint(text, _KINDS.get(kind, "dim"))


def _short(identity: str, style: Style) -> str:
    if len(identity) <= _SHORT_ID + 1:
        return identity
    return identity[:_SHORT_ID] + style.marks.ellipsis


def _branches(style: Style, depth: int, branches: str, *, last: bool) -> tuple[str, str]:
    """What stands left of a node, and what stands left of its children."""
    if depth == 0:
        return "", ""
    marks = style.marks
    lead = branches + (marks.corner if last else marks.tee)
    below = branches + (marks.blank if last else marks.bar)
    hidden = depth - _GENERATIONS_DRAWN
    if hidden <= 0:
        return style.paint(lead, "dim"), below
    width = _GENERATIONS_DRAWN * len(marks.blank)
    return style.paint(f"{marks.ellipsis}{hidden} {lead[-width:]}", "dim"), below[-width:]


class _Span:
    """From the first envelope of a tree to the end of its last delivery."""

    def __init__(self) -> None:
        self._first = float("inf")
        self._last = float("-inf")

    def include(self, node: Node) -> None:
        """Count an envelope and its deliveries in."""
        if node["timestamp"] is not None:
            self._first = min(self._first, node["timestamp"])
            self._last = max(self._last, node["timestamp"])
        for delivery in node["deliveries"]:
            if delivery["started"] is not None:
                end = delivery["started"] + (delivery["duration_ms"] or 0)
                self._last = max(self._last, end)

    def text(self) -> str:
        """Its length; nothing when no envelope says when it was made."""
        if self._first > self._last:
            return ""
        return duration(self._last - self._first)


def _summary(tree: dict[str, Any], span: _Span, style: Style) -> str:
    counts = tree["counts"]
    failed = counts["failed"]
    traces = tree["trace_ids"]
    parts = [
        counted(counts["envelopes"], "envelope"),
        counted(counts["deliveries"], "delivery", "deliveries"),
        style.paint(f"{failed} failed", "bold", "red") if failed else "",
        span.text(),
        f"trace {traces[0]}" if len(traces) == 1 else counted(len(traces), "trace"),
        style.paint("cut off here: there are more", "yellow") if tree.get("truncated") else "",
    ]
    return ", ".join(part for part in parts if part)


def counted(number: int, word: str, words: str | None = None) -> str:
    """A number and its word, in singular or plural."""
    return f"{number:,} {word if number == 1 else words or word + 's'}"
