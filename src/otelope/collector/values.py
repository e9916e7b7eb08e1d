"""OTLP attribute values as text, spelt as the collector's clickhouseexporter spells them."""

from __future__ import annotations

import base64
import json

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otelope.store.rowbinary import length, string


def text(value: AnyValue) -> str:
    """A value as text: numbers in decimal, bytes in base64, lists and maps as JSON."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind is None:
        return ""
    plain = _plain(value, kind)
    if isinstance(plain, str):
        return plain
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as texts; of a key that occurs twice the last one holds."""
    return {pair.key: text(pair.value) for pair in pairs}


def attribute_map(pairs: Iterable[KeyValue]) -> bytes:
    """Attributes as a RowBinary Map(String, String)."""
    encoded = []
    for pair in pairs:
        value = pair.value
        encoded.append(_key(pair.key))
        # Nearly all values are texts, and asking WhichOneof costs as much as reading one.
        found = value.string_value
        encoded.append(string(found or text(value)))
    return length(len(encoded) // 2) + b"".join(encoded)


_keys: dict[str, bytes] = {}
_MAX_KEYS = 4096


def _key(key: str) -> bytes:
    encoded = _keys.get(key)
    if encoded is None:
        encoded = string(key)
        # Whoever puts ids into attribute names must not fill the memory.
        if len(_keys) < _MAX_KEYS:
            _keys[key] = encoded
    return encoded


def _plain(value: AnyValue, kind: str | None) -> Any:
    if kind == "array_value":
        return [_plain(item, item.WhichOneof("value")) for item in value.array_value.values]
    if kind == "kvlist_value":
        pairs = value.kvlist_value.values
        return {pair.key: _plain(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)
