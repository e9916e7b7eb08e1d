"""
An id is a span context: which trace and which span an envelope stands for.

The functions here are a published specification (docs/identity.md) with test vectors, so that
other languages can agree with them bit for bit.
"""

from __future__ import annotations

import os

from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple


_CANONICAL_LENGTH = 36
_HEX_DIGITS = 32
_LOW_64 = (1 << 64) - 1
_LINEAGE_VERSION = 0x8000  # the version nibble of UUIDv8, in the lowest 16 of the first 64 bits
_LINEAGE_MASK = 0xFFFF_FFFF_FFFF_0FFF
_VARIANT = 0x8000_0000_0000_0000  # the RFC 9562 variant, in the highest two of the last 64 bits
_UNIQUE_MASK = 0x3FFF_FFFF_FFFF_FFFF


class Identity(NamedTuple):
    """
    The span context an id stands for.

    Args:
        trace_id: 128 bits, not zero.
        span_id: 64 bits, not zero.
        minted: Whether the id is an otelope id (UUIDv8), whose lineage says its trace.
        text: The id's canonical text.
    """

    trace_id: int
    span_id: int
    minted: bool
    text: str


def canonical(text: str) -> str:
    """
    The one spelling of an id: UUIDs in lower case with hyphens, anything else as it is.

    A UUID is 32 hexadecimal digits, plain or grouped 8-4-4-4-12, in any case, also behind
    ``urn:uuid:`` or in braces.
    """
    value = _uuid_bytes(text)
    return text if value is None else _spelled(text, value)


# An id is looked at when it is recognised, placed and recorded, and for each child of its envelope
# (0.1 µs, not 3).
@lru_cache(maxsize=1024)
def identify(text: str) -> Identity:
    """The identity of an id given as text. Pure; never raises."""
    value = _uuid_bytes(text)
    if value is None:
        return _hashed(text)
    text = _spelled(text, value)
    if value[6] >> 4 == 8 and value[8] >> 6 == 2:  # noqa: PLR2004 - RFC 9562: version 8, variant 10
        span_id = int.from_bytes(value[8:], "big")
        return Identity(_trace_of_lineage(value[:8]), span_id, True, text)  # noqa: FBT003 - minted
    return _hashed(text)


@lru_cache(maxsize=1024)
def hashed(text: str) -> Identity:
    """The identity of any id by its hash alone: a trace of its own for every envelope."""
    return _hashed(canonical(text))


def stitched_trace_id(root_id: str) -> int:
    """The trace that is made from the records of the chain below a root."""
    text = canonical(root_id).encode("utf-8", "surrogatepass")
    return _not_zero(sha256(b"otelope.stitch" + text).digest(), 0, 16)


def new_id(parent: str | None = None) -> str:
    """
    A new otelope id, as canonical text.

    Args:
        parent: The id whose lineage it continues, if that is an otelope id. Otherwise, and
            without one, a new lineage is drawn.
    """
    value = _uuid_bytes(parent) if parent is not None else None
    if value is not None and value[6] >> 4 == 8 and value[8] >> 6 == 2:  # noqa: PLR2004 - as above
        return _text(int.from_bytes(value[:8], "big"))
    return _text(_random_bits() & _LINEAGE_MASK | _LINEAGE_VERSION)


def new_id_in(trace_id: int) -> str | None:
    """A new otelope id in the lineage of this trace; None for a trace that has no lineage."""
    lineage = trace_id >> 64
    if lineage & ~_LINEAGE_MASK != _LINEAGE_VERSION:
        return None
    if _trace_of_lineage(lineage.to_bytes(8, "big")) != trace_id:
        return None
    return _text(lineage)


def new_trace_id() -> int:
    """A random trace id that has a lineage, for traces that start here."""
    lineage = _random_bits() & _LINEAGE_MASK | _LINEAGE_VERSION
    return _trace_of_lineage(lineage.to_bytes(8, "big"))


def _random_bits() -> int:
    # What `secrets` does; importing that costs a starting process 5 ms.
    return int.from_bytes(os.urandom(8), "big")


def _text(lineage: int) -> str:
    unique = _random_bits() & _UNIQUE_MASK | _VARIANT
    digits = f"{lineage:016x}{unique:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


# The chains that are at work here; a look-up takes 0.05 µs, not 0.5, where few are kept.
@lru_cache(maxsize=256)
def _trace_of_lineage(lineage: bytes) -> int:
    return int.from_bytes(lineage + sha256(b"otelope.trace" + lineage).digest()[:8], "big")


def _hashed(text: str) -> Identity:
    digest = sha256(b"otelope.id" + text.encode("utf-8", "surrogatepass")).digest()
    return Identity(_not_zero(digest, 0, 16), _not_zero(digest, 16, 8), minted=False, text=text)


def _not_zero(digest: bytes, start: int, size: int) -> int:
    value = int.from_bytes(digest[start : start + size], "big")
    return value or int.from_bytes(digest[start + size : start + 2 * size], "big") or 1


def _uuid_bytes(text: str) -> bytes | None:
    digits = text if len(text) == _CANONICAL_LENGTH else _bare(text)
    if len(digits) == _CANONICAL_LENGTH and digits[8:24:5] == "----":
        digits = digits.replace("-", "")
    if len(digits) != _HEX_DIGITS:
        return None
    try:
        # fromhex skips white space, so 32 characters make 16 bytes only if all are digits.
        value = bytes.fromhex(digits)
    except ValueError:
        return None
    return value if len(value) == 16 else None  # noqa: PLR2004 - 128 bits


def _spelled(text: str, value: bytes) -> str:
    if len(text) == _CANONICAL_LENGTH:
        return text.lower()
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _bare(text: str) -> str:
    if text[:9].lower() == "urn:uuid:":
        text = text[9:]
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    return text
