"""Values in ClickHouse's RowBinary format: little-endian numbers, lengths as LEB128."""

from __future__ import annotations

import struct

from collections.abc import Mapping


_ONE_BYTE = 0x80
_LENGTHS = tuple(bytes((size,)) for size in range(_ONE_BYTE))

int64 = struct.Struct("<q").pack
uint64 = struct.Struct("<Q").pack


def length(size: int) -> bytes:
    """An unsigned LEB128 number."""
    if size < _ONE_BYTE:
        return _LENGTHS[size]
    encoded = bytearray()
    while size >= _ONE_BYTE:
        encoded.append(size & 0x7F | _ONE_BYTE)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)


def string(text: str) -> bytes:
    """A String. Lone surrogates, which JSON can smuggle in, become question marks."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        data = text.encode("utf-8", "replace")
    return length(len(data)) + data


def mapping(pairs: Mapping[str, str]) -> bytes:
    """A Map(String, String)."""
    encoded = [length(len(pairs))]
    for key, value in pairs.items():
        encoded.append(string(key))
        encoded.append(string(value))
    return b"".join(encoded)


def array(items: list[bytes]) -> bytes:
    """An Array of values that are encoded already."""
    return length(len(items)) + b"".join(items)
