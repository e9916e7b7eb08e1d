"""What requests of HTTP say, and which of them may be an envelope."""

from __future__ import annotations

from collections.abc import Iterable


_CLIENT_ERROR = 400
_ID_LENGTH = 16


def is_event_content(headers: Iterable[tuple[bytes, bytes]], limit: int | None = None) -> bool:
    """
    Whether a body may be an envelope: plain JSON, or a binary CloudEvent.

    Args:
        headers: As pairs of bytes, names in any case.
        limit: The largest declared length that is looked at, in bytes.
    """
    found = dict.fromkeys((b"content-type", b"content-length", b"content-encoding", b"ce-id"), b"")
    for name, value in headers:
        lower = name.lower()
        if lower in found:
            found[lower] = value
    if found[b"content-encoding"] not in (b"", b"identity"):
        return False
    length = found[b"content-length"]
    if limit is not None and length.isdigit() and int(length) > limit:
        return False
    media_type = found[b"content-type"].partition(b";")[0].strip().lower()
    return bool(
        found[b"ce-id"] or media_type == b"application/json" or media_type.endswith(b"+json")
    )


def route(path: str) -> str:
    """A path whose segments that look like ids are ``{id}``: a name of low cardinality."""
    return "/".join("{id}" if _is_id(segment) else segment for segment in path.split("/"))


def error_of_answer(status: int) -> str | None:
    """The ``error.type`` that a client records for a status; None when it is no error."""
    return str(status) if status >= _CLIENT_ERROR else None


def _is_id(segment: str) -> bool:
    if segment.isdecimal():
        return True
    return len(segment) >= _ID_LENGTH and any(character.isdigit() for character in segment)
