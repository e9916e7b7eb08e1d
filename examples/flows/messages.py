"""Envelopes on the wire, and what the domain knows of them."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, ClassVar, Literal, Protocol, TypeVar

import otelope

from otelope import Envelope


class Dataclass(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Subject = TypeVar("Subject", bound=Dataclass)


class Unreadable(ValueError):  # noqa: N818 - what is wrong with it
    """It is no envelope, or its payload is not what its type needs."""


def read(text: bytes | str) -> Envelope:
    """
    An envelope from its JSON.

    Raises:
        Unreadable: It is none.
    """
    try:
        return Envelope.from_json(text)
    except ValueError as error:
        raise Unreadable(str(error)) from error


def subject_of(envelope: Envelope, known: type[Subject]) -> Subject:
    """
    What an envelope says, as the domain's class; other fields of the payload are ignored.

    Raises:
        Unreadable: It is of another type, or fields are missing.
    """
    if envelope.type != known.__name__:
        raise Unreadable(f"a {envelope.type} is no {known.__name__}")
    try:
        return known(**{field.name: envelope.payload[field.name] for field in fields(known)})
    except (KeyError, TypeError) as error:
        raise Unreadable(f"no {known.__name__}: {error!r}") from error


def envelope_of(
    subject: Dataclass, kind: Literal["command", "event"], cause: Envelope
) -> Envelope:
    """A new envelope around a command or an event of the domain."""
    return otelope.envelope(type(subject).__name__, asdict(subject), parent=cause, kind=kind)
