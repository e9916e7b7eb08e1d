"""What the commands ask, and what they are answered; whoever answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol


class CannotAskError(Exception):
    """There is nobody to ask; the message says what to do."""


class NothingAnswersError(CannotAskError):
    """Nothing listens where the daemon should be."""


class BadQuestionError(Exception):
    """The question was refused; the message says why."""


class Candidates(NamedTuple):
    """The envelopes that an ambiguous name may mean."""

    candidates: list[dict[str, Any]]


class Page(NamedTuple):
    """What was stored since a cursor, and the next cursor."""

    cursor: str
    items: list[dict[str, Any]]


class Questions(Protocol):
    """
    Answers the questions of the commands, in the shapes of the daemon's JSON API.

    Every method raises `CannotAskError` when nobody answers, `BadQuestionError` when the question
    is refused.
    """

    where: str

    def tree(self, name: str) -> dict[str, Any] | Candidates | None:
        """The tree around an envelope; None when the name means nothing."""
        ...

    def find(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The envelopes that satisfy the filters, the newest first."""
        ...

    def tail(self, after: str | None, last: int) -> Page:
        """What was stored after a cursor; without one, the ``last`` envelopes."""
        ...

    def processes(self) -> list[dict[str, Any]]:
        """What each instrumented process last said of itself, the latest first."""
        ...

    def contracts(self, since: float, type: str | None) -> list[dict[str, Any]]:  # noqa: A002 - the envelope's word
        """What left since a moment (Unix ms), by type, and what a contract says of it."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...
