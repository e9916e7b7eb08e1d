"""What the instrumented processes that report here say of themselves."""

from __future__ import annotations

import argparse
import time

from collections.abc import Mapping
from typing import Any

from otelope.cli.asking import open_questions, who_is_named
from otelope.cli.checks.finding import Finding, Level
from otelope.cli.moments import duration
from otelope.cli.questions import BadQuestionError, CannotAskError
from otelope.cli.render import counted


# A process that reported before is history, not something to attend to.
_RECENT_MS = 24 * 3_600_000
_MOST = 20
_COUNTERS = ("seen", "stored", "spooled", "dropped")
_FINE = ("instrumented", "not imported")


def look(args: argparse.Namespace, now: float | None = None) -> list[Finding]:
    """
    One finding per process heard of in the last 24 hours, the latest first.

    Args:
        args: Of the program; that nobody answers who is named there needs attention.
        now: Unix milliseconds.
    """
    try:
        opened = open_questions(args)
        try:
            processes = opened.questions.processes()
        finally:
            opened.questions.close()
    except (CannotAskError, BadQuestionError) as error:
        if named := who_is_named(args):
            return [Finding("attention", named, "cannot be asked", str(error))]
        return [Finding("note", "store", str(error))]
    now = time.time() * 1000 if now is None else now
    where = opened.questions.where
    recent = [each for each in processes if now - each["last_seen"] <= _RECENT_MS]
    if not recent:
        text = "no process has reported in the last 24 hours"
        return [Finding("note", where, text, facts={"store": where})]
    found = [describe(each, now) for each in recent[:_MOST]]
    if len(recent) > _MOST:
        found.append(Finding("note", where, f"{len(recent) - _MOST} more processes, heard before"))
    return found


def describe(process: Mapping[str, Any], now: float) -> Finding:
    """What one process says of itself, as an item of ``GET /api/processes``."""
    status = process["status"] if isinstance(process["status"], dict) else {}
    counters = {name: _count(status.get("counters"), name) for name in _COUNTERS}
    spans = {name: _count(status.get("spans"), name) for name in _COUNTERS}
    errors = _count(status, "internal_errors")
    libraries = status.get("instrumented")
    libraries = libraries if isinstance(libraries, dict) else {}
    working = sorted(name for name, state in libraries.items() if state == "instrumented")
    troubles = [
        f"{name}: {state}" for name, state in sorted(libraries.items()) if state not in _FINE
    ]
    advice = []
    for item, told in (("record", counters), ("span", spans)):
        if told["dropped"]:
            advice.append(
                f"{counted(told['dropped'], item)} lost: see that its collector is reachable, "
                "raise OTELOPE_QUEUE_BYTES, or set OTELOPE_SPOOL_DIR"
            )
    if failure := status.get("spool_failure"):
        advice.append(
            f"what it cannot deliver waits in memory only ({failure}): see OTELOPE_SPOOL_DIR "
            "and OTELOPE_SPOOL_BYTES"
        )
    if errors:
        advice.append(f"{counted(errors, 'internal error')}: its log names them; please report")
    advice.extend(troubles)
    subject = " ".join(
        part
        for part in (
            process["service"],
            process["version"],
            f"(pid {process['pid']})" if process["pid"] else "",
        )
        if part
    )
    text = "; ".join(
        (
            ", ".join(f"{value:,} {name}" for name, value in counters.items()),
            # Only in the fast lane are spans ours to count.
            *(
                ["spans: " + ", ".join(f"{value:,} {name}" for name, value in spans.items())]
                if "spans" in status
                else []
            ),
            f"instrumented: {', '.join(working) or 'nothing yet'}",
            f"heard {duration(max(0.0, now - process['last_seen']))} ago",
        )
    )
    level: Level = "attention" if advice else "ok"
    return Finding(level, subject, text, "; ".join(advice), {"process": dict(process)})


def _count(counters: object, name: str) -> int:
    value = counters.get(name) if isinstance(counters, dict) else None
    return value if isinstance(value, int) else 0
