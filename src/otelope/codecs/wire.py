"""What codecs read, how the wire spells it, and what makes it an envelope (docs/envelope.md)."""

from __future__ import annotations

import re

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from otelope.model.envelope import Envelope, Kind, Source, milliseconds
from otelope.model.identity import identify


FIELDS = ("id", "type", "timestamp", "source", "parentId", "channel", "kind")
PAYLOAD = "payload"

# The value of a field that a message does not have; None is that of one it has as null.
ABSENT = msgspec.UNSET

LONGEST_ID = 256
LONGEST_NAME = 1024

NIL = "00000000-0000-0000-0000-000000000000"

# Control characters end lines in logs and terminals; lone surrogates have no UTF-8.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_HUGE = 10**LONGEST_ID
_UNKNOWN = Source()
_KINDS: dict[str, Kind] = {"command": "command", "event": "event"}


class Carrier(Protocol):
    """Reads headers of one library's shape."""

    def get(self, headers: Any, key: str) -> str | None:
        """The first value of a header as text; None when absent or not text."""
        ...

    def keys(self, headers: Any) -> Iterable[str]:
        """The names of all headers."""
        ...


class Message(Protocol):
    """What codecs read of a message; see `otelope.core.message`."""

    @property
    def channel(self) -> str | None: ...  # noqa: D102 - see there
    @property
    def body(self) -> Any: ...  # noqa: D102
    @property
    def headers(self) -> Any: ...  # noqa: D102
    @property
    def properties(self) -> Mapping[str, Any] | None: ...  # noqa: D102
    @property
    def arguments(self) -> Sequence[Any] | None: ...  # noqa: D102


class Codec(Protocol):
    """One shape of envelopes on the wire; a module will do."""

    def decode(self, message: Message, carrier: Carrier, /) -> Envelope | None:
        """The envelope in a message; None when it is not of this shape."""
        ...


def envelope_of(
    id: Any,  # noqa: A002 - the field's name
    type: Any,  # noqa: A002 - the field's name
    timestamp: Any,
    source: Any,
    parent_id: Any,
    channel: Any,
    kind: Any,
    *,
    payload: bytes | None = None,
    text: bytes | None = None,
    cloudevent: bool = False,
    vouched: bool = False,
) -> Envelope | None:
    """
    The envelope that these values, of any type, make; None when they make none.

    Args:
        id, type, timestamp, source, parent_id, channel, kind: In the order of `FIELDS`.
        payload, text: As in `Envelope`.
        cloudevent: A specversion vouches for it, so that it needs no timestamp.
        vouched: Its own shape does, so that it needs no source either.
    """
    if not isinstance(type, str) or len(type) > LONGEST_ID or not _known_type(type):
        return None
    moment = milliseconds(timestamp)
    if moment is None and not (cloudevent or vouched):
        return None
    own = identifier(id)
    if own is None:
        return None
    parent = None
    if parent_id is not None and parent_id is not ABSENT and parent_id != "":
        parent = identifier(parent_id)
        if parent is None:
            return None
        # Both are ways to say "no parent": .NET's Guid.Empty, and a root that causes itself.
        if parent in (NIL, own):
            parent = None
    origin = _source(source)
    if origin is None:
        if cloudevent or (parent_id is ABSENT and not vouched):
            return None
        origin = _UNKNOWN
    return Envelope(
        own,
        type,
        moment,
        origin,
        parent,
        channel if channel is not ABSENT and fit(channel, LONGEST_NAME) else None,
        _KINDS.get(kind.lower()) if isinstance(kind, str) else None,
        payload,
        text,
    )


def identifier(value: object) -> str | None:
    """An id as canonical text, from text or an integer; None when it is not fit for one."""
    if isinstance(value, str):
        if len(value) > LONGEST_ID:
            return None
        # Whoever places the envelope asks for the identity next, and finds it read already.
        identity = identify(value)
        # An otelope id is hexadecimal digits, so there is nothing to object to.
        return identity.text if identity.minted or fit(value, LONGEST_ID) else None
    if isinstance(value, int) and not isinstance(value, bool) and -_HUGE < value < _HUGE:
        return str(value)
    return None


def fit(value: object, longest: int) -> bool:
    """Whether this is text that says something and harms no reader."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= longest
        and (value.isprintable() or not _UNFIT.search(value))
        and not value.isspace()
    )


# A process meets few types; a repeat costs 0.1 µs, not 0.3.
@lru_cache(maxsize=1024)
def _known_type(name: str) -> bool:
    return fit(name, LONGEST_ID)


def _source(value: Any) -> Source | None:
    if isinstance(value, str):
        return _known_source(value, "") if len(value) <= LONGEST_NAME else None
    try:
        name, version = value.name, value.version
    except AttributeError:  # a number, or nothing
        return None
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        return None
    if not isinstance(version, str):
        version = _number(version)
    return _known_source(name, version if len(version) <= LONGEST_NAME else "")


def _number(value: object) -> str:
    """A version that is a number, as text; empty for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number and -_HUGE < value < _HUGE else ""


# A process meets few sources; a repeat costs 0.1 µs, not 0.9.
@lru_cache(maxsize=1024)
def _known_source(name: str, version: str) -> Source | None:
    if not fit(name, LONGEST_NAME):
        return None
    return Source(name, version if fit(version, LONGEST_NAME) else "")
