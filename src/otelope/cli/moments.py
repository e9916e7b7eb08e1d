"""Times and durations, as people write and read them."""

from __future__ import annotations

import re
import time

from datetime import datetime, tzinfo

from otelope.model.envelope import milliseconds


_SECOND = 1_000.0
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_UNITS = {"s": _SECOND, "m": _MINUTE, "h": _HOUR, "d": _DAY}
_ago = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")


def duration(ms: float) -> str:
    """A duration in the unit that suits it; ``ms`` must not be negative."""
    if ms < 10:  # noqa: PLR2004 - from 10 ms on, tenths say nothing
        return f"{ms:.1f}".removesuffix(".0") + " ms"
    # Half a digit below the unit, so that none shows 1000 ms or 60 s.
    if ms < _SECOND - 0.5:
        return f"{ms:.0f} ms"
    if ms < _MINUTE - 0.05 * _SECOND:
        return f"{ms / _SECOND:.1f}".removesuffix(".0") + " s"
    ms = max(ms, _MINUTE)
    if ms < _HOUR:
        return _two(ms, _MINUTE, "min", _SECOND, "s")
    if ms < _DAY:
        return _two(ms, _HOUR, "h", _MINUTE, "min")
    return _two(ms, _DAY, "d", _HOUR, "h")


def clock(ms: float | None, zone: tzinfo | None = None) -> str:
    """A moment (Unix milliseconds) as date and time; without one, a question mark."""
    if ms is None:
        return "?"
    try:
        # Rounded, for a moment in nanoseconds is no whole number in floating point.
        moment = datetime.fromtimestamp(round(ms) / 1000, zone)
    except (OverflowError, OSError, ValueError):
        return f"{ms:.0f} ms"
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{round(moment.microsecond / 1000):03}"


def moment(text: str, now: float | None = None) -> float:
    """
    A moment as Unix milliseconds.

    Args:
        text: How long ago (``90s``, ``10m``, ``2h``, ``7d``), RFC 3339, a date or a date and time
            (local), or Unix seconds or milliseconds.
        now: Unix milliseconds.

    Raises:
        ValueError: It is none of these.
    """
    text = text.strip()
    ago = _ago.fullmatch(text)
    if ago:
        now = time.time() * 1000 if now is None else now
        return max(0.0, now - float(ago[1]) * _UNITS[ago[2]])
    known = milliseconds(text)
    if known is not None:
        return known
    try:
        return datetime.fromisoformat(text).timestamp() * 1000
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time: write how long ago (90s, 10m, 2h, 7d), a date (2026-11-23), "
            "or a date and time (2026-11-23T14:03:07)"
        ) from None


def length(text: str) -> float:
    """
    A length of time (``90s``, ``10m``, ``2h``, ``7d``) in milliseconds.

    Raises:
        ValueError: It is none.
    """
    found = _ago.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no length of time: write 90s, 10m, 2h or 7d")
    return float(found[1]) * _UNITS[found[2]]


def _two(ms: float, large: float, large_unit: str, small: float, small_unit: str) -> str:
    whole, rest = divmod(ms, large)
    parts = int(rest // small)
    return f"{whole:.0f} {large_unit}" + (f" {parts} {small_unit}" if parts else "")
