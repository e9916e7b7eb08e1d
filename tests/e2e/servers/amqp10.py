"""Values of AMQP 1.0 (OASIS, part 1) as bytes, and back."""

from __future__ import annotations

import struct

from typing import Any
from uuid import UUID


# Types of fixed width by their code.
_CONSTANTS = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}
_FIXED = {
    **dict(zip(range(0x50, 0x57), "BbBBbb?", strict=True)),
    **dict(zip(range(0x60, 0x62), "Hh", strict=True)),
    **dict(zip(range(0x70, 0x74), "IifI", strict=True)),
    **dict(zip(range(0x80, 0x84), "Qqdq", strict=True)),
    0x98: "16s",
}


def decoded(data: bytes, place: int = 0) -> tuple[Any, int]:
    """A value, and where the next one begins; what is described is a pair with its descriptor."""
    code = data[place]
    if code == 0:
        descriptor, place = decoded(data, place + 1)
        value, place = decoded(data, place)
        return (descriptor, value), place
    return _decoded(code, data, place + 1)


def _decoded(code: int, data: bytes, place: int) -> tuple[Any, int]:
    if code in _CONSTANTS:
        return _CONSTANTS[code], place
    if code == 0x45:
        return [], place
    if code in _FIXED:
        (value,) = struct.unpack_from(f">{_FIXED[code]}", data, place)
        return UUID(bytes=value) if code == 0x98 else value, place + _width(_FIXED[code])
    number = "B" if code >> 4 in (0xA, 0xC, 0xE) else "I"
    (size,) = struct.unpack_from(f">{number}", data, place)
    place += _width(number)
    body = data[place : place + size]
    if code in (0xA0, 0xB0):
        return bytes(body), place + size
    if code < 0xC0:
        return bytes(body).decode(), place + size
    return _compound(code, body, number), place + size


def _width(form: str) -> int:
    return struct.calcsize(f">{form}")


def _compound(code: int, body: bytes, number: str) -> Any:
    (count,) = struct.unpack_from(f">{number}", body)
    place, values = _width(number), []
    if code in (0xE0, 0xF0):
        kind, place = body[place], place + 1
        for _ in range(count):
            value, place = _decoded(kind, body, place)
            values.append(value)
        return values
    for _ in range(count):
        value, place = decoded(body, place)
        values.append(value)
    return dict(zip(values[::2], values[1::2], strict=True)) if code & 0xF else values


NULL = b"\x40"


def boolean(value: object) -> bytes:
    return b"\x41" if value else b"\x42"


def ubyte(value: int) -> bytes:
    return struct.pack(">BB", 0x50, value)


def ushort(value: int) -> bytes:
    return struct.pack(">BH", 0x60, value)


def uint(value: int) -> bytes:
    return struct.pack(">BI", 0x70, value & 0xFFFFFFFF)


def integer(value: int) -> bytes:
    return struct.pack(">Bi", 0x71, value)


def ulong(value: int) -> bytes:
    return struct.pack(">BQ", 0x80, value)


def long(value: int) -> bytes:
    return struct.pack(">Bq", 0x81, value)


def timestamp(seconds: float) -> bytes:
    return struct.pack(">Bq", 0x83, int(seconds * 1000))


def uuid(value: UUID) -> bytes:
    return b"\x98" + value.bytes


def binary(value: bytes) -> bytes:
    return struct.pack(">BI", 0xB0, len(value)) + value


def string(value: str) -> bytes:
    return struct.pack(">BI", 0xB1, len(value.encode())) + value.encode()


def symbol(value: str) -> bytes:
    return struct.pack(">BI", 0xB3, len(value)) + value.encode()


def listed(*values: bytes) -> bytes:
    body = b"".join(values)
    return struct.pack(">BII", 0xD0, len(body) + 4, len(values)) + body


def mapped(values: dict[bytes, bytes]) -> bytes:
    body = b"".join(key + value for key, value in values.items())
    return struct.pack(">BII", 0xD1, len(body) + 4, 2 * len(values)) + body


def array(*values: bytes) -> bytes:
    """Of values of one type of fixed width; never empty."""
    body = values[0][:1] + b"".join(value[1:] for value in values)
    return struct.pack(">BII", 0xF0, len(body) + 4, len(values)) + body


def described(descriptor: int, value: bytes) -> bytes:
    return b"\x00\x53" + bytes([descriptor]) + value


def symbols(*values: str) -> bytes:
    body = b"\xb3" + b"".join(symbol(value)[1:] for value in values)
    return struct.pack(">BII", 0xF0, len(body) + 4, len(values)) + body
