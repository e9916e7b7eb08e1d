"""
The request that carries encoded items: ``ExportLogsServiceRequest`` and its likes.

What stands around log records and around spans has the same field numbers in both (OTLP 1.10).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otelope.export.protobuf import delimited, key_value, varint
from otelope.model import semconv


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
        resource: The resource's attributes.
        version: Of otelope, for the instrumentation scope.
    """

    def __init__(self, resource: Mapping[str, Any], version: str) -> None:
        attributes = (delimited(1, key_value(key, value)) for key, value in resource.items())
        self._resource = delimited(1, b"".join(attributes))
        scope = delimited(1, semconv.SCOPE.encode()) + delimited(2, version.encode())
        self._scope = delimited(1, scope)
        self._schema = delimited(3, semconv.SCHEMA_URL.encode())

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
