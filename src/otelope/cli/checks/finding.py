"""What a check says."""

from __future__ import annotations

import logging

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple


Level = Literal["ok", "note", "attention"]


class Finding(NamedTuple):
    """
    One thing that was looked at.

    Args:
        level: ``"attention"`` makes the doctor end with 1.
        subject: What was looked at.
        text: What was found.
        advice: What to do about it; every ``"attention"`` has one.
        facts: For ``--json``, beside the text.
    """

    level: Level
    subject: str
    text: str
    advice: str = ""
    facts: Mapping[str, Any] = {}

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        known = {"subject": self.subject, "level": self.level, "text": self.text}
        return {**known, **({"advice": self.advice} if self.advice else {}), **self.facts}


@contextmanager
def warnings_of_otelope() -> Iterator[list[str]]:
    """Collects what otelope logs meanwhile, instead of letting it out."""
    collected: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: collected.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("otelope")
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield collected
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
