"""What may leave, by type; and the full envelopes of which less leaves than is known here."""

from __future__ import annotations

import threading

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from otelope.model.contracts import ContractError, any_declared, declared
from otelope.model.envelope import Envelope
from otelope.model.identity import canonical


# Between an envelope's making and its sending in the same process; an outbox may take longer.
KEPT = 4096
KEPT_BYTES = 8 * 1024 * 1024
# Collectors refuse what is above 4 MiB; then what is on the wire is better than nothing.
LONGEST = 3 * 1024 * 1024

# Stands for a whole payload that has no fields, a list or bytes; JSONPath's root.
WHOLE = "$"


class Leaving(NamedTuple):
    """The fields of one payload that may leave, and those that did."""

    declared: frozenset[str]
    left: frozenset[str]


class _Inside(NamedTuple):
    """An envelope that was made here: what of it may leave, and all of it as JSON text."""

    outside: frozenset[str]
    text: bytes


class Contracts:
    """
    Watches over what is sent, against the contracts of this process.

    Args:
        payload_of: The payload of a recognised envelope, decoded.
        strict: Raise where a field beyond its contract would leave.
    """

    def __init__(self, payload_of: Callable[[Envelope], Any], *, strict: bool = False) -> None:
        self._payload_of = payload_of
        self._strict = strict
        self._kept: OrderedDict[str, _Inside] = OrderedDict()
        self._bytes = 0
        # Re-entrant: a signal's handler may make an envelope too.
        self._lock = threading.RLock()

    def keep(self, envelope: Envelope, text: bytes) -> None:
        """
        Keep an envelope of which only a part may leave; the oldest are forgotten for it.

        Args:
            envelope: Just made, with ``outside``.
            text: All of it as JSON.
        """
        if envelope.outside is None or len(text) > LONGEST:
            return
        envelope_id = canonical(envelope.id)  # as it will be read from the wire
        with self._lock:
            self._forget(envelope_id)
            self._kept[envelope_id] = _Inside(envelope.outside, text)
            self._bytes += len(text)
            while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
                self._forget(next(iter(self._kept)))

    def leaving(self, envelope: Envelope) -> Leaving | None:
        """
        What of an envelope leaves with the message it was recognised in; None without a contract.

        Raises:
            ContractError: More than its contract lets out, and that is strict.
        """
        if not self._kept and not any_declared():
            return None
        kept = self._kept.get(envelope.id)
        outside = kept.outside if kept is not None else declared(envelope.type)
        if outside is None:
            return None
        leaving = Leaving(outside, _names(self._payload_of(envelope)))
        leaked = leaving.left - outside
        if leaked and self._strict:
            raise ContractError(envelope.type, leaked)
        return leaving

    def whole(self, envelope: Envelope) -> Envelope:
        """The envelope with all that was known of it when it was made here, else as it is."""
        kept = self._kept.get(envelope.id)
        return envelope._replace(payload=None, text=kept.text) if kept is not None else envelope

    def after_fork_in_child(self) -> None:
        """Start with a lock that nobody holds."""
        self._lock = threading.RLock()

    def _forget(self, envelope_id: str) -> None:
        known = self._kept.pop(envelope_id, None)
        if known is not None:
            self._bytes -= len(known.text)


def _names(payload: Any) -> frozenset[str]:
    if isinstance(payload, dict):
        return frozenset(payload)
    return frozenset() if payload is None or payload == b"" else frozenset((WHOLE,))
