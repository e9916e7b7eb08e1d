"""The payload of a recognised envelope, decoded only when somebody asks."""

from __future__ import annotations

import binascii

from base64 import b64decode
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from otelope.codecs.names import Path


# Where the payload stands unless renamed, best first.
PAYLOADS = ("payload", "data", "body")

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def json_or_bytes(raw: bytes) -> Any:
    """The value of this JSON; the bytes themselves where they are none."""
    try:
        return _value(raw)
    except _UNREADABLE:
        return raw


def cloudevent_payload(text: bytes) -> Any:
    """The data of a structured CloudEvent; None where it has none."""
    members = _members(text)
    encoded = json_or_bytes(members.get("data_base64", b"null"))
    if not isinstance(encoded, str):
        return json_or_bytes(members.get("data", b"null"))
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return None


def payload_beside(
    text: bytes, metadata: AbstractSet[str], place: str, renamed: Path | None
) -> Any:
    """
    The payload of an envelope that a JSON body is.

    Args:
        text: The body.
        metadata: Its members that hold metadata: the payload is the rest, if it has no name.
        place: The member with the metadata, which may hold the payload too; "" for the body.
        renamed: Where the payload stands, if `OTELOPE_FIELDS` says so.
    """
    members = _members(text)
    paths = (renamed,) if renamed else [(name,) for name in PAYLOADS]
    for holder in (members, _members(members.get(place))):
        for path in paths:
            raw = _at(holder, path)
            if raw is not None:
                return json_or_bytes(raw)
    if renamed:
        return None
    rest = {name: raw for name, raw in members.items() if name not in metadata}
    return {name: json_or_bytes(raw) for name, raw in rest.items()} or None


def _members(raw: bytes | None) -> dict[str, bytes]:
    try:
        return {name: bytes(value) for name, value in _split(raw).items()} if raw else {}
    except _UNREADABLE:
        return {}


def _at(members: dict[str, bytes], path: Path) -> bytes | None:
    for name in path[:-1]:
        members = _members(members.get(name))
    return members.get(path[-1])
