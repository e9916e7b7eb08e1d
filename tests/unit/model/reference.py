"""
Identity as docs/identity.md says it, written a second time: the slow, obvious way.

Shares no code with `otelope.model.identity`; both must agree with each other and the vectors.
"""

from __future__ import annotations

import hashlib
import re
import uuid


_HEX = "[0-9a-fA-F]"
_GROUPED = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_DIGITS = f"(?:{_GROUPED}|{_HEX}{{32}})"
_UUID = re.compile(rf"(?:[uU][rR][nN]:[uU][uU][iI][dD]:)?(?:({_DIGITS})|\{{({_DIGITS})\}})")


def as_uuid(text: str) -> uuid.UUID | None:
    match = _UUID.fullmatch(text)
    return uuid.UUID(match[1] or match[2]) if match else None


def canonical(text: str) -> str:
    value = as_uuid(text)
    return str(value) if value else text


def minted(text: str) -> bool:
    value = as_uuid(text)
    return bool(value) and value.variant == uuid.RFC_4122 and value.version == 8


def trace_id(text: str) -> str:
    if minted(text):
        first = as_uuid(text).bytes[:8]
        return (first + hashlib.sha256(b"otelope.trace" + first).digest()[:8]).hex()
    digest = hashlib.sha256(b"otelope.id" + canonical(text).encode()).digest()
    return digest[0:16].hex()


def span_id(text: str) -> str:
    if minted(text):
        return as_uuid(text).bytes[8:].hex()
    digest = hashlib.sha256(b"otelope.id" + canonical(text).encode()).digest()
    return digest[16:24].hex()


def lineage(text: str) -> str | None:
    return as_uuid(text).bytes[:8].hex() if minted(text) else None


def stitched_trace_id(text: str) -> str:
    return hashlib.sha256(b"otelope.stitch" + canonical(text).encode()).digest()[0:16].hex()
