"""The kind of a type: as the user declares it, else as its grammar suggests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from otelope.model.envelope import Kind
from otelope.model.kinds import infer_kind


def kind_of(
    commands: Sequence[str], events: Sequence[str]
) -> Callable[[str], tuple[Kind | None, bool]]:
    """
    A function from a type to its kind, and whether that is only inferred.

    Args:
        commands, events: Shell patterns of types; the first that fits decides.
    """

    @lru_cache(maxsize=1024)
    def kind(envelope_type: str) -> tuple[Kind | None, bool]:
        if any(fnmatchcase(envelope_type, pattern) for pattern in commands):
            return "command", False
        if any(fnmatchcase(envelope_type, pattern) for pattern in events):
            return "event", False
        inferred = infer_kind(envelope_type)
        return inferred, inferred is not None

    return kind
