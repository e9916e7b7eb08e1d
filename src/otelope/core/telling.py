"""Which stored envelopes a layer further out tells of, so that those inside it do not."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar


_TOLD: ContextVar[frozenset[str]] = ContextVar("otelope_told", default=frozenset())


def is_told(envelope_id: str) -> bool:
    """Whether something around this place tells that the envelope is stored."""
    return envelope_id in _TOLD.get()


class Telling:
    """
    From now on until `end`, in this thread or task, these envelopes are told of.

    Args:
        envelope_ids: Of those that are stored.
    """

    def __init__(self, envelope_ids: Iterable[str]) -> None:
        told = _TOLD.get()
        self._own = frozenset(envelope_ids) - told
        _TOLD.set(told | self._own)

    def end(self) -> None:
        """Say no more, in whatever order; in another task than it began, that changes nothing."""
        _TOLD.set(_TOLD.get() - self._own)
