"""The body of an envelope record: the full envelope as JSON text, whatever it is made of."""

from __future__ import annotations

import json

from base64 import b64encode
from typing import Any

import msgspec

from otelope.model.envelope import Envelope


def _marker(value: object) -> dict[str, str]:
    # The type only: a repr runs the host's code and may be of any size.
    return {"$unencodable": type(value).__qualname__}


_encode = msgspec.json.Encoder(enc_hook=_marker).encode
_valid_json = msgspec.json.Decoder(msgspec.Raw).decode


def envelope_json(envelope: Envelope) -> bytes:
    """
    The envelope as valid UTF-8.

    As it was on the wire where that is known (bytes that are no UTF-8 are replaced: one would make
    a collector refuse the whole batch), else composed of its fields. What JSON has no form for
    becomes ``{"$unencodable": "<type>"}``, and a payload of other bytes ``payloadBase64``.
    """
    if envelope.text is not None:
        return _valid(envelope.text)
    payload = envelope.payload
    wire = envelope._replace(payload=None).to_dict()
    if isinstance(payload, bytes | bytearray | memoryview):
        del wire["payload"]
        raw = bytes(payload)
        if _is_json(raw):
            wire["payload"] = msgspec.Raw(raw)
        else:
            wire["payloadBase64"] = b64encode(raw).decode()
    else:
        wire["payload"] = payload
    return _compose(wire)


def _valid(text: bytes) -> bytes:
    if text.isascii():
        return text
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode(errors="replace").encode()
    return text


def _is_json(raw: bytes) -> bool:
    try:
        raw.decode()
        _valid_json(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _compose(wire: dict[str, Any]) -> bytes:
    try:
        return _encode(wire)
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass
    # json writes what msgspec refuses: lone surrogates (as escapes), keys of mixed types.
    payload = wire.get("payload")
    for attempt in (payload, _marker(payload)):
        try:
            text = json.dumps({**wire, "payload": attempt}, default=_marker, skipkeys=True)
        except (TypeError, ValueError, OverflowError, RecursionError):
            continue
        return text.encode()
    raise ValueError("the envelope's metadata have no JSON form")
