"""What was done with an envelope, as lines of text: handled, stored, sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otelope.cli.moments import duration
from otelope.cli.style import Style, printable


def delivery_line(
    delivery: dict[str, Any], style: Style, sent_to: str | None = None, *, waited: bool = False
) -> str:
    """
    One handling of an envelope: how it ended, who handled it, and how long that took.

    Args:
        delivery: As in the JSON of a tree.
        style: How it looks.
        sent_to: The envelope's channel; the delivery's own is named only where it is another.
        waited: Whether the envelope was in an outbox: then the broker's part of the lag is told.
    """
    who = f"{_mark(delivery, style)} {service(delivery['service'], delivery['version'], style)}"
    channel = delivery["channel"]
    if channel and channel != sent_to:
        who += f" via {style.paint(printable(channel), 'magenta')}"
    return joined(
        who,
        _fate(delivery, style),
        *_attempts(delivery, style),
        _times(delivery, style, waited=waited),
    )


def store_line(store: dict[str, Any], style: Style, node: dict[str, Any] | None = None) -> str:
    """
    One transaction that stored an envelope: where, how it ended, and how long it waited there.

    Args:
        store: As in the JSON of a tree.
        style: How it looks.
        node: The envelope, which knows whether it waited.
    """
    name = style.paint(printable(store["channel"] or ""), "magenta")
    who = f"{_mark(store, style)} {service(store['service'], store['version'], style)}"
    waiting = ""
    if node is not None and store["outbox"] and store["outcome"] == "ok":
        if node["stuck"]:
            waiting = style.paint("stuck: never published", "bold", "red")
        elif node["outbox_ms"] is not None:
            waiting = style.paint(f"waited {duration(node['outbox_ms'])}", "dim")
    return joined(f"{who} stored in {name}", _fate(store, style), waiting, _times(store, style))


def send_line(send: dict[str, Any], style: Style) -> str:
    """One sending of an envelope, as in the JSON of a tree."""
    to = style.paint(printable(send["channel"] or ""), "magenta")
    who = f"{_mark(send, style)} {service(send['service'], send['version'], style)}"
    return joined(f"{who} sent to {to}", _fate(send, style), _times(send, style))


def _mark(done: dict[str, Any], style: Style) -> str:
    marks = style.marks
    outcome = done["outcome"]
    if outcome == "error":
        return style.paint(marks.failed, "red")
    if outcome == "ok":
        return style.paint(marks.ok, "green")
    return style.paint(marks.unknown, "yellow")


def failure_line(failure: dict[str, Any], style: Style) -> str:
    """One failure, as in the JSON of a tail."""
    operation = failure["operation"]
    if operation == "send":
        return send_line(failure, style)
    return delivery_line(failure, style) if operation == "process" else store_line(failure, style)


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
    if delivery.get("duplicate"):
        yield style.paint("duplicate", "yellow")


def _times(done: dict[str, Any], style: Style, *, waited: bool = False) -> str:
    times = []
    if done.get("lag_ms") is not None:
        times.append(lag(done["lag_ms"], style))
    if waited and done["broker_ms"] is not None:
        times.append(f"{duration(done['broker_ms'])} in the broker")
    if done["duration_ms"] is not None:
        times.append(f"took {duration(max(0.0, done['duration_ms']))}")
    return style.paint(", ".join(times), "dim")


def service(name: str | None, version: str | None, style: Style) -> str:
    """A service and its version; empty without a name."""
    if not name:
        return ""
    shown = style.paint(printable(name), "green")
    return f"{shown} {style.paint(printable(version), 'dim')}" if version else shown


def lag(ms: float, style: Style) -> str:
    """A time since then, with its sign."""
    # Negative where the clocks of two machines differ.
    return f"+{duration(ms)}" if ms >= 0 else f"{style.marks.minus}{duration(-ms)}"


def joined(*parts: str) -> str:
    """The parts of a line; empty ones are left out."""
    return "  ".join(part for part in parts if part)
