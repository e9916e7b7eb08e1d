"""What was done with an envelope: it was stored, sent and handled; and what follows from that."""

from __future__ import annotations

from typing import Any


Done = dict[str, Any]

DELIVERY_COLUMNS = (
    "service", "version", "channel", "outcome", "error_type", "started", "duration_ms", "lag_ms",
    "attempt", "redelivered", "trace_id", "span_id", "operation",
)  # fmt: skip

STUCK_AFTER_MS = 60_000.0


def delivery(row: list[Any]) -> Done:
    """A row, columns as `DELIVERY_COLUMNS`, as plain data."""
    found = dict(zip(DELIVERY_COLUMNS, row, strict=False))
    found["error_type"] = found["error_type"] or None
    found["channel"] = found["channel"] or None
    return found


def story(rows: list[Done], now: float) -> dict[str, Any]:
    """
    What became of one envelope.

    Args:
        rows: Everything that was done with it.
        now: Unix milliseconds.

    Returns:
        deliveries: Its handlings. ``broker_ms``: since it was last sent. ``duplicate``: whether
            the same service had handled it already, without failure.
        sends: Its sendings, one for each channel and each retry.
        stores: Its transactions. ``outbox``: whether it waits there for somebody to publish it.
        outbox_ms: From the commit in an outbox to its first sending; None without either.
        stuck: Whether it has waited in an outbox for more than a minute.
    """
    rows = sorted(rows, key=lambda row: (row["started"], row["span_id"]))
    told: dict[str, list[Done]] = {"process": [], "send": [], "store": [], "outbox": []}
    for row in rows:
        told.get(row["operation"], told["process"]).append(row)
    handled, sent = told["process"], told["send"]
    stored = [row for row in rows if row["operation"] in ("store", "outbox")]
    waited = [_ended(row) for row in told["outbox"] if row["outcome"] == "ok"]
    left = [row["started"] for row in sent if row["outcome"] == "ok"]
    outbox_ms = round(max(0.0, left[0] - waited[0]), 3) if waited and left else None
    _compare(handled, [row for row in sent if row["outcome"] == "ok"])
    for row in stored:
        row["outbox"] = row["operation"] == "outbox"
    for row in rows:
        del row["operation"]
    return {
        "deliveries": handled,
        "sends": [_without(row, "attempt", "redelivered") for row in sent],
        "stores": [_without(row, "attempt", "redelivered", "lag_ms") for row in stored],
        "outbox_ms": outbox_ms,
        "stuck": bool(waited) and not left and not handled and now - waited[0] > STUCK_AFTER_MS,
    }


def _compare(handled: list[Done], sent: list[Done]) -> None:
    done: set[str] = set()
    for row in handled:
        before = [each for each in sent if each["started"] <= row["started"]]
        before = [each for each in before if each["channel"] == row["channel"]] or before
        row["broker_ms"] = round(row["started"] - before[-1]["started"], 3) if before else None
        row["duplicate"] = row["service"] in done
        if row["outcome"] == "ok":
            done.add(row["service"])


def _ended(row: Done) -> float:
    ended: float = row["started"] + (row["duration_ms"] or 0.0)
    return ended


def _without(row: Done, *names: str) -> Done:
    return {name: value for name, value in row.items() if name not in names}
