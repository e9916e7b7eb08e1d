"""How long to wait for a collector that does not take items, and what to tell people of it."""

from __future__ import annotations

import logging
import math
import random
import time

from otelope.export.sending import Attempt


_logger = logging.getLogger("otelope")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
# While someone waits for a flush, a collector that comes back is noticed within this.
_IMPATIENT_PAUSE = 0.25


class Outage:
    """
    Back-off: from 0.1 s doubling to 30 s, or as long as the collector asks for.

    Args:
        target: Where items go, for messages to people.
        items: What they are called there.
        where: Where they wait, likewise.
    """

    def __init__(self, target: str, items: str, where: str) -> None:
        self.until = -math.inf
        self.reason: str | None = None
        self._target = target
        self._items = items
        self._where = where
        self._failures = 0
        self._asked_for = False

    def __bool__(self) -> bool:
        return self._failures > 0

    def hurry(self, *, closing: bool) -> None:
        """Someone waits: try soon, even (if closing) when the collector asked for a pause."""
        if closing or not self._asked_for:
            self.until = min(self.until, time.monotonic() + _IMPATIENT_PAUSE)

    def learn(self, done: Attempt, *, hurried: bool) -> None:
        """Draw the conclusions of an attempt."""
        if done.unavailable is None:
            self._over()
        else:
            self._goes_on(done.unavailable, done.retry_after, hurried=hurried)

    def _over(self) -> None:
        if self._failures:
            _logger.warning("%s takes %s again.", self._target, self._items)
        self._failures = 0
        self.reason = None
        self.until = -math.inf

    def _goes_on(self, reason: str, asked_for: float | None, *, hurried: bool) -> None:
        if not self._failures:
            _logger.warning(
                "%s cannot be delivered to %s (%s). They are kept %s,"
                " and sent again. Is a collector listening there? OTEL_EXPORTER_OTLP_ENDPOINT "
                "says where they go; `otelope up` starts a collector.",
                self._items.capitalize(),
                self._target,
                reason,
                self._where,
            )
        self.reason = reason
        now = time.monotonic()
        if now >= self.until:
            self._failures += 1  # once, when several on their way fail together
        self._asked_for = asked_for is not None
        if asked_for is None:
            longest = _IMPATIENT_PAUSE if hurried else _LONGEST_PAUSE
            pause = min(longest, _FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
            # Many processes lost the same collector at the same moment.
            asked_for = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self.until = now + asked_for
