"""What requests of HTTP say, and which of them may be an envelope."""

from __future__ import annotations

import functools
import re

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from otelope.core.message import Message


SERVER_ERROR = 500

_CLIENT_ERROR = 400
_ID_LENGTH = 16
_BATCH = "application/cloudevents-batch+json"
_TYPE, _LENGTH, _ENCODING = b"content-type", b"content-length", b"content-encoding"
_EVENT = b"ce-id"
_AS_IT_IS = ("identity", b"identity")
_STREAM = b"text/event-stream"
_DIGIT = re.compile(r"\d").search
_elements = msgspec.json.Decoder(list[msgspec.Raw])


Pairs = Sequence[tuple[bytes, bytes]]
Word = str | bytes


class Content(msgspec.Struct):
    """
    What headers say of a body that may be an envelope.

    Args:
        length: As declared, in bytes; None where it is not.
        batch: Whether it holds several CloudEvents.
        headers: All of them by their names in small letters, the last of each name.
    """

    length: int | None
    batch: bool
    headers: Mapping[bytes, bytes] = {}


def event_content(
    headers: Iterable[tuple[bytes, bytes]], limit: int | None = None
) -> Content | None:
    """
    What headers say of a body that may be an envelope: plain JSON, or a binary CloudEvent.

    Args:
        headers: As pairs of bytes, names in any case.
        limit: The largest declared length that is looked at, in bytes.
    """
    said = dict(headers)
    # Servers write names in small letters: looking takes 0.1 µs, making them so 0.6.
    if not b"".join(said).islower():
        said = {name.lower(): value for name, value in said.items()}
    media_type = said.get(_TYPE, b"")
    if not _json_of(media_type)[0] and _EVENT not in said:
        return None
    length, encoding, event_id = said.get(_LENGTH), said.get(_ENCODING), said.get(_EVENT)
    content = event_content_said(media_type, length, encoding, event_id, limit)
    if content is not None:
        content.headers = said
    return content


def event_content_said(
    media_type: Word | None,
    length: Word | None,
    encoding: Word | None,
    event_id: Word | None,
    limit: int | None = None,
) -> Content | None:
    """
    As `event_content`, by what these headers say.

    Args:
        media_type, length, encoding: As in ``content-type``, ``content-length``,
            ``content-encoding``.
        event_id: As in ``ce-id``.
        limit: The largest declared length that is looked at, in bytes.
    """
    json, batch = _json_of(media_type) if media_type else (False, False)
    if not json and not event_id:
        return None
    if encoding and encoding not in _AS_IT_IS:
        return None
    size = _declared(length)
    if limit is not None and size is not None and size > limit:
        return None
    return Content(size, batch)


@functools.lru_cache(maxsize=64)  # a service sees few of them
def _json_of(media_type: Word) -> tuple[bool, bool]:
    """Whether it is of JSON, and of a batch of CloudEvents (their HTTP binding, 3.3)."""
    kind = _text(media_type).partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json"), kind == _BATCH


def batched(body: bytes | str) -> list[bytes]:
    """The events of a batch; none where it is malformed, as the application will say."""
    try:
        return [bytes(element) for element in _elements.decode(body)]
    except msgspec.DecodeError:
        return []


def messages_of(
    path: Callable[[], str], body: Any, headers: Pairs, said: Pairs | None = None
) -> list[Message]:
    """
    What a client's request carries: one message, the events of a batch, or nothing.

    Args:
        path: As requested; asked where it carries anything.
        body: Bytes or text. Anything else is still to be read or generated: that is the
            application's to iterate, once.
        headers: Its own, as pairs of bytes.
        said: Those with all that the client adds.
    """
    content = event_content(said or headers) if isinstance(body, bytes | str) else None
    if content is None:
        return []
    channel = route(path())
    return [
        Message(channel, each, headers) for each in (batched(body) if content.batch else [body])
    ]


def is_event_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a response of these headers is a stream of server-sent events."""
    for name, value in headers:
        if name.lower() == _TYPE:
            return value[: len(_STREAM)].lower() == _STREAM
    return False


def _declared(length: Word | None) -> int | None:
    """A ``content-length`` as a number; None where it says none."""
    return int(length) if length and length.isascii() and length.isdigit() else None


def _text(word: Word) -> str:
    return word if isinstance(word, str) else str(word, "latin-1")


def pairs_of(headers: Any, encoding: str = "latin-1") -> list[tuple[bytes, bytes]]:
    """
    Headers that a client was given, a mapping or pairs of text or bytes, as pairs of bytes.

    Args:
        encoding: The client's own, so that `text_of` answers with what it was given.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    return [(_bytes(name, encoding), _bytes(value, encoding)) for name, value in pairs]


def text_of(
    pairs: Iterable[tuple[bytes, bytes]], encoding: str = "latin-1"
) -> list[tuple[str, str]]:
    """Pairs of bytes as pairs of text, for a client to be given."""
    return [(str(name, encoding), str(value, encoding)) for name, value in pairs]


def _bytes(word: Any, encoding: str) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode(encoding)


def route(path: str) -> str:
    """A path whose segments that look like ids are ``{id}``: a name of low cardinality."""
    if not _DIGIT(path):
        return path
    return "/".join("{id}" if _is_id(segment) else segment for segment in path.split("/"))


def error_of_answer(status: int) -> str | None:
    """The ``error.type`` that a client records for a status; None when it is no error."""
    return str(status) if status >= _CLIENT_ERROR else None


def _is_id(segment: str) -> bool:
    if segment.isdecimal():
        return True
    return len(segment) >= _ID_LENGTH and any(character.isdigit() for character in segment)
