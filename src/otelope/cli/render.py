"""
Causation trees, and single envelopes, as lines of text.

Pure functions over the JSON of the daemon's answers; nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

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
    A causation tree, one line per envelope and delivery, and a summary.

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
        deliveries = node["deliveries"]
        for position, delivery in enumerate(deliveries):
            final = not children and position == len(deliveries) - 1
            lead, _ = _branches(style, depth + 1, below, last=final)
            yield lead + delivery_line(delivery, style, sent_to=node["channel"])
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
        return _line(
            style.paint("not recorded", "bold", "yellow"),
            style.paint(printable(node["id"]), "dim"),
        )
    sender = _service(node["source"]["name"] or node["service"], node["source"]["version"], style)
    channel = node["channel"]
    if channel:
        to = style.paint(style.marks.to, "dim")
        sender = f"{sender} {to} {style.paint(printable(channel), 'magenta')}".lstrip()
    if not root and node["lag_ms"] is not None:
        when = _lag(node["lag_ms"], style)
    else:
        when = clock(node["timestamp"], style.zone) if clocked else ""
    identity = printable(node["id"])
    if not ids:
        identity = _short(identity, style) if root else ""
    return _line(
        style.paint(printable(node["type"]), "bold"),
        _kind(node, style),
        sender,
        style.paint(when, "dim"),
        style.paint("parent inferred", "yellow") if node["parent_inferred"] else "",
        style.paint(identity, "dim"),
    )


def delivery_line(delivery: dict[str, Any], style: Style, sent_to: str | None = None) -> str:
    """
    One handling of an envelope: how it ended, who handled it, and how long that took.

    Args:
        delivery: As in the JSON of a tree.
        style: How it looks.
        sent_to: The envelope's channel; the delivery's own is named only where it is another.
    """
    marks = style.marks
    outcome = delivery["outcome"]
    if outcome == "error":
        mark = style.paint(marks.failed, "red")
    elif outcome == "ok":
        mark = style.paint(marks.ok, "green")
    else:
        mark = style.paint(marks.unknown, "yellow")
    who = f"{mark} {_service(delivery['service'], delivery['version'], style)}"
    channel = delivery["channel"]
    if channel and channel != sent_to:
        who += f" via {style.paint(printable(channel), 'magenta')}"
    return _line(who, _fate(delivery, style), *_attempts(delivery, style), _times(delivery, style))


def _fate(delivery: dict[str, Any], style: Style) -> str:
    if delivery["outcome"] == "error":
        return style.paint(printable(delivery["error_type"] or "failed"), "bold", "red")
    return "" if delivery["outcome"] == "ok" else style.paint("outcome unknown", "yellow")


def _attempts(delivery: dict[str, Any], style: Style) -> Iterator[str]:
    attempt = delivery["attempt"]
    if attempt is not None and attempt > 1:
        yield style.paint(f"attempt {attempt}", "yellow")
    elif delivery["redelivered"]:
        yield style.paint("redelivered", "yellow")


def _times(delivery: dict[str, Any], style: Style) -> str:
    times = []
    if delivery["lag_ms"] is not None:
        times.append(_lag(delivery["lag_ms"], style))
    if delivery["duration_ms"] is not None:
        times.append(f"took {duration(max(0.0, delivery['duration_ms']))}")
    return style.paint(", ".join(times), "dim")


def _kind(node: Node, style: Style) -> str:
    kind = node["kind"]
    if not kind:
        return ""
    text = f"({kind})" if node["kind_inferred"] else kind
    return style.paint(text, _KINDS.get(kind, "dim"))


def _service(name: str | None, version: str | None, style: Style) -> str:
    if not name:
        return ""
    shown = style.paint(printable(name), "green")
    return f"{shown} {style.paint(printable(version), 'dim')}" if version else shown


def _lag(ms: float, style: Style) -> str:
    # Negative where the clocks of two machines differ.
    return f"+{duration(ms)}" if ms >= 0 else f"{style.marks.minus}{duration(-ms)}"


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


def _line(*parts: str) -> str:
    return "  ".join(part for part in parts if part)


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
