"""Envelopes on the wire, and what the domain knows of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar, Literal, Protocol, TypeVar, get_type_hints

import otelope

from otelope import Envelope


class Dataclass(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Subject = TypeVar("Subject", bound=Dataclass)

# The end of the year 9999.
_LAST_MILLISECONDS = 253_402_300_799_999


class Unreadable(ValueError):  # noqa: N818 - what is wrong with it
    """It is no envelope, or its payload is not what its type needs."""


def read(text: bytes | str) -> Envelope:
    """
    An envelope from its JSON.

    Raises:
        Unreadable: It is none, or none that a database could hold.
    """
    try:
        envelope = Envelope.from_json(text)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    if not 0 < (envelope.timestamp or 0) <= _LAST_MILLISECONDS:
        raise Unreadable(f"no date: {envelope.timestamp}")
    if envelope.kind not in ("command", "event"):
        raise Unreadable(f"neither command nor event: {envelope.kind}")
    return envelope


def subject_of(envelope: Envelope, known: type[Subject]) -> Subject:
    """
    What an envelope says, as the domain's class; other fields of the payload are ignored.

    Raises:
        Unreadable: It is of another type, or fields are missing or not what the domain takes.
    """
    if envelope.type != known.__name__:
        raise Unreadable(f"a {envelope.type} is no {known.__name__}")
    wanted = get_type_hints(known)
    try:
        values = {name: envelope.payload[name] for name in wanted}
        subject = known(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"no {known.__name__}: {error!r}") from error
    # Not by isinstance: True is no quantity.
    wrong = [name for name, value in values.items() if type(value) is not wanted[name]]
    if wrong:
        raise Unreadable(f"no {known.__name__}: {', '.join(wrong)} of another kind")
    return subject


def envelope_of(
    subject: Dataclass, kind: Literal["command", "event"], cause: Envelope
) -> Envelope:
    """A new envelope around a command or an event of the domain."""
    return otelope.envelope(type(subject).__name__, asdict(subject), parent=cause, kind=kind)
