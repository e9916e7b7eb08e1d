"""
Spans of our own as OTLP spans, written straight into protobuf's wire format.

Byte for byte what OpenTelemetry's exporter makes of the SDK's spans (a property test compares).
"""

from __future__ import annotations

import struct

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from otelope.core.spans import Event, OwnSpan
from otelope.export.protobuf import (
    TextAttribute,
    delimited,
    key_value,
    number,
    repeated,
    utf8,
    varint,
)
from otelope.model import semconv


# Field numbers of opentelemetry.proto.trace.v1.Span
_TRACE_STATE, _NAME, _KIND, _ATTRIBUTES, _DROPPED_ATTRIBUTES = 3, 5, 6, 9, 10
_EVENTS, _DROPPED_EVENTS, _LINKS, _DROPPED_LINKS, _STATUS = 11, 12, 13, 14, 15

# trace_id and span_id, the parent's span_id, start and end, flags, each behind its tag
_ids = struct.Struct("<BB16sBB8s").pack
_parent = struct.Struct("<BB8s").pack
_times = struct.Struct("<BQBQ").pack
_fixed64 = struct.Struct("<BQ").pack

# SpanFlags: whether a parent or what is linked is of another process is known, and is so. As
# OpenTelemetry's exporter has it (1.45), without the trace flags.
_LOCAL, _REMOTE = struct.pack("<I", 0x100), struct.pack("<I", 0x300)
_FLAGS_TAG, _LINK_FLAGS_TAG = varint(16 << 3 | 5), varint(6 << 3 | 5)
_NO_STATUS = delimited(_STATUS, b"")

# What a queued span weighs beside what others wrote to it (tests measure it).
SPAN_BYTES = 1_536


def _unique(key: str) -> Callable[[str], bytes]:
    write = TextAttribute(_ATTRIBUTES, key)
    return lambda text: write(utf8(text))


# Our attributes of text; most of their values are seen again and again.
_of_text: dict[str, Callable[[str], bytes]] = {
    **{
        key: repeated(_ATTRIBUTES, key)
        for key in (
            semconv.ENVELOPE_TYPE,
            semconv.ENVELOPE_SOURCE_NAME,
            semconv.ENVELOPE_SOURCE_VERSION,
            semconv.ENVELOPE_CHANNEL,
            semconv.ENVELOPE_KIND,
            semconv.MESSAGING_SYSTEM,
            semconv.MESSAGING_OPERATION_NAME,
            semconv.MESSAGING_OPERATION_TYPE,
            semconv.MESSAGING_DESTINATION_NAME,
            semconv.STORE_NAME,
            semconv.ERROR_TYPE,
        )
    },
    **{
        key: _unique(key)
        for key in (
            semconv.ENVELOPE_ID,
            semconv.ENVELOPE_PARENT_ID,
            semconv.MESSAGING_MESSAGE_ID,
        )
    },
}


def weight_of_span(span: OwnSpan) -> int:
    """The memory a queued span is accounted with, in bytes."""
    return SPAN_BYTES + span.added


def encoded_span(span: OwnSpan) -> bytes:
    """
    A span that has ended, as a ``Span`` message.

    Raises:
        Exception: Whatever a value of the wrong type leads to; the caller counts it.
    """
    trace_id, span_id, _, _, state, _ = span.context
    parts = [_ids(0x0A, 16, trace_id.to_bytes(16, "big"), 0x12, 8, span_id.to_bytes(8, "big"))]
    if state:
        parts.append(delimited(_TRACE_STATE, ",".join(map("=".join, state.items())).encode()))
    parent = span.parent
    if parent is not None:
        parts.append(_parent(0x22, 8, parent.span_id.to_bytes(8, "big")))
    parts += (
        _name_and_kind(span.name, span.kind),
        _times(0x39, span.start_time, 0x41, span.end_time),
    )
    for key, value in span.attributes.items():
        write = _of_text.get(key)
        parts.append(
            write(value)
            if write is not None and type(value) is str
            else delimited(_ATTRIBUTES, key_value(key, value))
        )
    _count(parts, _DROPPED_ATTRIBUTES, span.dropped_attributes)
    parts += [delimited(_EVENTS, _event(event)) for event in span.events]
    _count(parts, _DROPPED_EVENTS, span.dropped_events)
    parts += [delimited(_LINKS, _link(link)) for link in span.links]
    _count(parts, _DROPPED_LINKS, span.dropped_links)
    parts += (_status(span), _FLAGS_TAG, _remote(parent))
    return b"".join(parts)


# Their number is bounded by that of channels.
@lru_cache(maxsize=1024)
def _name_and_kind(name: str, kind: SpanKind) -> bytes:
    # OTLP's kinds begin with an unspecified one.
    named = delimited(_NAME, utf8(name)) if name else b""
    return named + number(_KIND, kind.value + 1)


def _event(event: Event) -> bytes:
    parts = [_fixed64(0x09, event.timestamp)] if event.timestamp else []
    if event.name:
        parts.append(delimited(2, utf8(event.name)))
    _attributes(parts, 3, event.attributes)
    _count(parts, 4, event.dropped_attributes)
    return b"".join(parts)


def _link(link: Link) -> bytes:
    trace_id, span_id, *_ = link.context
    parts = [_ids(0x0A, 16, trace_id.to_bytes(16, "big"), 0x12, 8, span_id.to_bytes(8, "big"))]
    _attributes(parts, 4, link.attributes or {})
    _count(parts, 5, link.dropped_attributes)
    parts += (_LINK_FLAGS_TAG, _remote(link.context))
    return b"".join(parts)


def _status(span: OwnSpan) -> bytes:
    status = span.status
    code, text = status.status_code, status.description
    if code is StatusCode.UNSET and not text:
        return _NO_STATUS
    told = delimited(2, utf8(text)) if text else b""
    return delimited(_STATUS, told + (number(3, code.value) if code.value else b""))


def _attributes(parts: list[bytes], field: int, attributes: Mapping[str, Any]) -> None:
    parts += [delimited(field, key_value(key, value)) for key, value in attributes.items()]


def _count(parts: list[bytes], field: int, dropped: int) -> None:
    if dropped:
        parts.append(number(field, dropped))


def _remote(context: SpanContext | None) -> bytes:
    return _REMOTE if context is not None and context.is_remote else _LOCAL
