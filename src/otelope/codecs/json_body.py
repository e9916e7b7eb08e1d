"""JSON bodies: structured CloudEvents, and metadata at top level or under one name."""

from __future__ import annotations

import json

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from otelope.codecs.cloudevents import ABOUT, cloudevent_of
from otelope.codecs.names import Names, Path
from otelope.codecs.payloads import cloudevent_payload, payload_beside
from otelope.codecs.wire import ABSENT, FIELDS, envelope_of
from otelope.model.envelope import Envelope


CLOUDEVENT = "specversion"
TOP = ""
# The first of these places that holds a whole envelope has it.
PLACES = (CLOUDEVENT, TOP, "metadata", "meta", "envelope")

_SPACES = b" \t\r\n"

# All that makes msgspec fail on hostile input, by fuzzing; RecursionError is its answer to depth.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# AttributeError: a value stands where a place, or one on the way to it, would be.
_NOT_HERE = (AttributeError, *_UNREADABLE)


class _Named(msgspec.Struct, gc=False):
    """An object where a value is expected; a source is one."""

    name: str | int | float | bool | msgspec.UnsetType | None = msgspec.UNSET
    version: str | int | float | bool | msgspec.UnsetType | None = msgspec.UNSET


_Scalar = str | int | float | bool | msgspec.UnsetType | None
_Value = _Scalar | _Named


class _Place(NamedTuple):
    """
    One place that can hold the metadata.

    Args:
        name: Of `PLACES`.
        read: All values, from a decoded body; AttributeError where the place is not there.
        seen: One value, which tells cheaply whether the place is there: `ABSENT` if not.
        decode: Of a body, this place only.
    """

    name: str
    read: Callable[[Any], tuple[Any, ...]]
    seen: Callable[[Any], Any]
    decode: Callable[[bytes], Any]


class JsonBody:
    """
    Reads all places in one pass over the body and builds nothing but the metadata.

    msgspec skips what its type does not name, so one type is made for the names in use.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        paths = {place: _paths(place, names) for place in PLACES}
        hidden = {path[0] for path in paths[TOP] if len(path) == 1}
        places = [place for place in PLACES if place == CLOUDEVENT or place not in hidden]
        self._decode = _decoder(path for place in places for path in paths[place])
        self._timestamp = _opening(names.paths["timestamp"][-1])
        self._cloudevent = _opening(CLOUDEVENT)
        self._marks = {names.paths["timestamp"][0], *PLACES} - {TOP}
        self._places = tuple(
            _Place(
                place,
                attrgetter(*(".".join(map(_attribute, path)) for path in paths[place])),
                attrgetter(_attribute(place or names.paths["id"][0])),
                _decoder(paths[place]),
            )
            for place in places
        )

    def decode(self, body: bytes) -> Envelope | None:
        """The envelope that a body is; None when it is none. No body makes it raise."""
        if self._timestamp not in body and self._cloudevent not in body:
            return None
        found = self._find(body)
        return found[0] if found is not None else None

    def payload(self, text: bytes) -> Any:
        """The payload of a body that is an envelope, decoded."""
        found = self._find(text)
        if found is None:
            return None
        place = found[1]
        if place == CLOUDEVENT:
            return cloudevent_payload(text)
        within = {place} if place else {path[0] for path in _paths(TOP, self._names)}
        return payload_beside(text, within, place, self._names.payload)

    def may_be(self, body: dict[Any, Any]) -> bool:
        """Whether plain data may be an envelope: it has a place for one."""
        return not self._marks.isdisjoint(body)

    def _find(self, body: bytes) -> tuple[Envelope, str] | None:
        if body[:1] != b"{" and body[:64].lstrip(_SPACES)[:1] != b"{":
            return None
        readable = body
        try:
            whole = self._decode(body)
        except msgspec.ValidationError:
            # A list where one place has a value must not hide the envelope in another.
            whole = None
        except _UNREADABLE:
            whole = None
            readable = _without_constants(body)
            if not readable:
                return None
        for place in self._places:
            if whole is not None and place.seen(whole) is ABSENT:
                continue
            envelope = _envelope(place, whole, readable, body)
            if envelope is not None:
                return envelope, place.name
        return None


def _without_constants(body: bytes) -> bytes:
    """
    A body in which Python's `json` wrote NaN or Infinity, which JSON has not, with null for them.

    Empty for any other body that is no JSON.
    """
    if b"NaN" not in body and b"Infinity" not in body:
        return b""
    try:
        return msgspec.json.encode(json.loads(body, parse_constant=lambda _: None))
    except (ValueError, RecursionError):
        return b""


def encoded(body: dict[Any, Any] | tuple[Any, ...]) -> bytes | None:
    """The JSON of plain data that the client library will serialize; None where it has none."""
    try:
        return msgspec.json.encode(body, enc_hook=str)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        return None


def _envelope(place: _Place, whole: Any, readable: bytes, body: bytes) -> Envelope | None:
    try:
        if whole is None:
            whole = place.decode(readable)
        values = place.read(whole)
    except _NOT_HERE:
        return None
    if place.name == CLOUDEVENT:
        return cloudevent_of(values, text=body)
    return envelope_of(*values, text=body)


def _paths(place: str, names: Names) -> list[Path]:
    if place == CLOUDEVENT:
        # Its own names are CloudEvents' to say; extensions are ours.
        fixed = {name: (name,) for name in ("id", "type", "source")}
        return [*((name,) for name in ABOUT), *({**names.paths, **fixed}[f] for f in FIELDS)]
    within = (place,) if place else ()
    return [(*within, *names.paths[name]) for name in FIELDS]


def _decoder(paths: Iterable[Path]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(_struct(list(paths))).decode


def _struct(paths: list[Path]) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for name in dict.fromkeys(path[0] for path in paths):
        deeper = [path[1:] for path in paths if path[0] == name and len(path) > 1]
        kind: Any = _struct(deeper) | _Scalar if deeper else _Value
        names[_attribute(name)] = name
        fields.append((_attribute(name), kind, msgspec.UNSET))
    return msgspec.defstruct("Found", fields, rename=names, gc=False)


def _attribute(name: str) -> str:
    # JSON names need not be identifiers.
    return "x" + name.encode("utf-8", "surrogatepass").hex()


def _opening(name: str) -> bytes:
    # Without the closing quote: bytes are searched by their last one, and JSON is full of quotes
    # (0.9 µs for 1 KB, not 1.4).
    # A message that writes this name with escapes is not recognised; none is known to.
    return json.dumps(name, ensure_ascii=False)[:-1].encode("utf-8", "surrogatepass")
