"""What this process remembers of the envelopes that it sent or received."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from otelope.core.placement import Spot
from otelope.model.envelope import Envelope


# About 2 MB: what a relay may have received or sent before it sends again.
REMEMBERED = 8192


class Known(msgspec.Struct, frozen=True):
    """
    Where an envelope's span really is, and what the records of its children tell of it.

    Args:
        told: Whether the envelope's record is written; not while it is being stored for the
            first time, as that may be rolled back.
    """

    spot: Spot
    type: str
    source: str
    timestamp: float | None
    told: bool

    @property
    def about(self) -> tuple[str, str, float | None]:
        """Type, source and timestamp."""
        return self.type, self.source, self.timestamp


class Memory:
    """The latest envelopes by id, bounded; makes relays within one process exact."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._made: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def recall(self, envelope_id: str | None) -> Known | None:
        """What is known of an envelope; None when it was never seen here, or long ago."""
        return self._known.get(envelope_id) if envelope_id is not None else None

    def remember(self, envelope: Envelope, spot: Spot, told: bool = True) -> None:  # noqa: FBT001, FBT002 - as in `Known`
        """Keep where the envelope's span is; the oldest is forgotten for it."""
        known = Known(spot, envelope.type, envelope.source.name, envelope.timestamp, told)
        self._known[envelope.id] = known
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def forget_untold(self, envelope_id: str) -> None:
        """Lose an envelope of which nobody told meanwhile: it never happened."""
        known = self._known.get(envelope_id)
        if known is not None and not known.told:
            del self._known[envelope_id]

    def note_made(self, envelope_id: str) -> None:
        """Keep that this process made the envelope."""
        self._made[envelope_id] = None
        if len(self._made) > REMEMBERED:
            self._made.popitem(last=False)

    def made_here(self, envelope_id: str) -> bool:
        """Whether this process made the envelope, as far as it remembers."""
        return envelope_id in self._made

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
        self._made.clear()
