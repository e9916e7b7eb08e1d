"""The few shapes in which client libraries carry headers."""

from __future__ import annotations

import re

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol


# A name of the metadata's type, however spelled; a body has a content type beside it.
_TYPE = re.compile("(?<!content)(?<!content[-_.])type$", re.IGNORECASE)
# How a JSON object begins, and what is binary (`otelope.codecs.faststream`).
_OBJECTS = ("{", b"{", b"\x89")


class Carrier(Protocol):
    """
    Reads headers of one shape, and writes them into a copy.

    Attributes:
        headers: Whether messages can have headers at all.
    """

    headers: bool

    def get(self, headers: Any, key: str) -> str | None:
        """The first value of a header as text; None when absent or not text."""
        ...

    def keys(self, headers: Any) -> Iterable[str]:
        """The names of all headers."""
        ...

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        """A copy of the headers in which these fields replace those of the same name."""
        ...


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    # A tuple: the union would take 0.1 µs more, for each header that is read.
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            return None
    # AMQP's headers have types: a timestamp may be a number.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def text(name: Any) -> str:
    """A name as text, where a client takes and gives either text or bytes."""
    if isinstance(name, (bytes, bytearray, memoryview)):
        return bytes(name).decode(errors="replace")
    return str(name)


class Mapped:
    """A mapping from name to text or bytes, as in AMQP, NATS and most others."""

    headers = True

    def get(self, headers: Any, key: str) -> str | None:
        return _text(headers.get(key)) if headers else None

    def keys(self, headers: Any) -> Iterable[str]:
        return list(headers) if headers else ()

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        return {**headers, **fields} if headers else dict(fields)


class Pairs:
    """
    A list of (name, bytes) pairs in which a name may occur again, as in Kafka.

    Other pairs stay as they are, in their order and with duplicates: what a library refuses of
    them, it still refuses. The copy is a list, of tuples where we add to it: kafka-python and
    aiokafka take nothing else. Some clients also take a mapping; its copy is a list too.
    """

    headers = True

    def get(self, headers: Any, key: str) -> str | None:
        for name, value in headers if type(headers) is list else self._pairs(headers):
            if name == key:
                return _text(value)
        return None

    def keys(self, headers: Any) -> Iterable[str]:
        return [name for name, _ in self._pairs(headers)] if headers else ()

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        kept = [pair for pair in self._pairs(headers) if pair[0] not in fields]
        for name, value in fields.items():
            kept.append((name, value.encode()))
        return kept

    def _pairs(self, headers: Any) -> Iterable[tuple[str, Any]]:
        if not headers:
            return ()
        # `isinstance(…, Mapping)` alone takes 0.4 µs for a list.
        if type(headers) is not list and isinstance(headers, Mapping):
            return headers.items()
        return headers


class TextPairs(Pairs):
    """A list of (name, text) pairs in which a name may occur again, as in MQTT 5."""

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        kept = [pair for pair in self._pairs(headers) if pair[0] not in fields]
        kept.extend(fields.items())
        return kept


class Named(Mapped):
    """A mapping whose names are text or bytes, as in AMQP 1.0."""

    def get(self, headers: Any, key: str) -> str | None:
        return _text(headers.get(key, headers.get(key.encode()))) if headers else None

    def keys(self, headers: Any) -> Iterable[str]:
        return [text(name) for name in headers or ()]

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        kept = headers.items() if headers else ()
        return {**{n: v for n, v in kept if text(n) not in fields}, **fields}


class Fields(Named):
    """
    Named fields, of which one may be a body, as in an entry of a Redis stream.

    Where the fields are the envelope's metadata, nothing is added to them: an application may
    read them all.
    """

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        if any(_TYPE.search(name) for name in self.keys(headers)):
            return headers
        return super().written(headers, fields)

    def body(self, headers: Any) -> Any:
        """The first field that looks like a JSON object, or holds one; None where none does."""
        for value in headers.values():
            if isinstance(value, str | bytes) and value[:1] in _OBJECTS:
                return value
        return None


class Http:
    """
    HTTP headers as pairs of bytes (ASGI), or in an object that can say them so.

    Those of a request that a server received are a dictionary by names in small letters.
    """

    headers = True

    def get(self, headers: Any, key: str) -> str | None:
        wanted = _small(key)
        if type(headers) is dict:
            value = headers.get(wanted)
            return str(value, "latin-1") if value is not None else None
        for name, value in headers or ():
            if name.lower() == wanted:
                return str(value, "latin-1")
        return None

    def keys(self, headers: Any) -> Iterable[str]:
        names = headers if type(headers) is dict else [name for name, _ in headers or ()]
        return [str(name, "latin-1").lower() for name in names]

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        kept = [
            (name, value)
            for name, value in headers or ()
            if str(name, "latin-1").lower() not in fields
        ]
        kept.extend([(name.encode(), value.encode("latin-1")) for name, value in fields.items()])
        return kept


@lru_cache(maxsize=256)  # what is asked for is ours to name, but for CloudEvents' extensions
def _small(key: str) -> bytes:
    return key.lower().encode("latin-1", "replace")


class Bare(Mapped):
    """No headers at all."""

    headers = False


MAPPING = Mapped()
FIELDS = Fields()
PAIRS = Pairs()
TEXT_PAIRS = TextPairs()
HTTP = Http()
BARE = Bare()
