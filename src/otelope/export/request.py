"""
The request that carries encoded items: ``ExportLogsServiceRequest`` and its likes.

What stands around log records and around spans has the same field numbers in both (OTLP 1.10).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from otelope.export.protobuf import delimited, fields, key_value, read_fields, varint
from otelope.model import semconv


# Of `ResourceLogs` and `ScopeLogs`, or `ResourceSpans` and `ScopeSpans`.
_RESOURCE, _OF_SCOPE = 1, 2
_SCOPE, _ENTRY, _SCHEMA = 1, 2, 3


def entry(message: bytes) -> bytes:
    """A ``LogRecord`` as it stands inside ``ScopeLogs``, or a ``Span`` inside ``ScopeSpans``."""
    size = len(message)
    if 1 << 7 <= size < 1 << 14:  # nearly all of them
        return bytes((0x12, size & 0x7F | 0x80, size >> 7)) + message
    return b"\x12" + varint(size) + message


class Request:
    """
    Wraps entries into a request; everything constant is encoded once.

    Args:
        resource, scope: The messages of these names.
        schema: The URL that scope and entries follow.
    """

    def __init__(self, resource: bytes, scope: bytes, schema: bytes) -> None:
        self._resource = delimited(_RESOURCE, resource)
        self._scope = delimited(_SCOPE, scope)
        self._schema = delimited(_SCHEMA, schema)

    @classmethod
    def of_process(cls, resource: Mapping[str, Any], version: str) -> Request:
        """One of this process: of the resource's attributes, and otelope's version."""
        attributes = (delimited(1, key_value(key, value)) for key, value in resource.items())
        scope = delimited(1, semconv.SCOPE.encode()) + delimited(2, version.encode())
        return cls(b"".join(attributes), scope, semconv.SCHEMA_URL.encode())

    def __call__(self, entries: list[bytes]) -> bytes:
        """The request's bytes."""
        scope_size = len(self._scope) + sum(map(len, entries)) + len(self._schema)
        scope_head = b"\x12" + varint(scope_size)
        size = len(self._resource) + len(scope_head) + scope_size
        return b"".join(
            (
                b"\x0a",
                varint(size),
                self._resource,
                scope_head,
                self._scope,
                *entries,
                self._schema,
            )
        )


def read_requests(written: bytes) -> Iterator[tuple[Request, list[bytes], int]]:
    """
    What `Request` wrote, one behind the other: each with its entries, and where it ends.

    Raises:
        ValueError: What follows is no such request, or its end is missing.
    """
    for _, of_resource, end in fields(written):
        told = read_fields(_message(of_resource))
        parts = defaultdict[int, list[bytes]](list)
        for part, value, _ in fields(_message(told.get(_OF_SCOPE))):
            parts[part].append(_message(value))
        (scope,), (schema,) = parts[_SCOPE], parts[_SCHEMA]
        request = Request(_message(told.get(_RESOURCE)), scope, schema)
        yield request, [entry(message) for message in parts[_ENTRY]], end


def _message(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("this is no OTLP request")  # noqa: TRY004 - of data, not of a type
    return value
