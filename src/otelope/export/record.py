"""
Envelope and delivery records as OTLP log records, written straight into protobuf's wire format.

Byte for byte what `opentelemetry.proto.logs.v1.LogRecord` would make of them (a property test
compares); the SDK needs 48 µs for one with a text body, this needs 4.
"""

from __future__ import annotations

import json
import struct

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

from msgspec.structs import astuple

from otelope.core.contracts import Leaving
from otelope.core.records import DeliveryRecord, EnvelopeRecord, Record
from otelope.export.body import envelope_json
from otelope.export.protobuf import (
    DoubleAttribute,
    TextAttribute,
    attribute,
    delimited,
    key_value,
    repeated,
    text_body_head,
    utf8,
)
from otelope.model import semconv


# Field numbers of opentelemetry.proto.logs.v1.LogRecord
_BODY, _ATTRIBUTES, _EVENT_NAME = 5, 6, 12
_SEVERITY = b"\x10\x09" + delimited(3, b"INFO")

# time_unix_nano, observed_time_unix_nano, flags, trace_id, span_id, each behind its tag
_head = struct.Struct("<BQBQBIBB16sBB8s").pack
_LATEST_NS = (1 << 63) - 1

_id = TextAttribute(_ATTRIBUTES, semconv.ENVELOPE_ID)
_cloud_id = TextAttribute(_ATTRIBUTES, semconv.CLOUDEVENTS_EVENT_ID)
_parent_id = TextAttribute(_ATTRIBUTES, semconv.ENVELOPE_PARENT_ID)
_CAUSE = TextAttribute(_ATTRIBUTES, semconv.CAUSE_SPAN_ID).head(16)
_parent_lag = DoubleAttribute(_ATTRIBUTES, semconv.PARENT_LAG_MS)
_send_lag = DoubleAttribute(_ATTRIBUTES, semconv.SEND_LAG_MS)
_duration = DoubleAttribute(_ATTRIBUTES, semconv.DELIVERY_DURATION_MS)
_lag = DoubleAttribute(_ATTRIBUTES, semconv.DELIVERY_LAG_MS)
_repeated = partial(repeated, _ATTRIBUTES)
_type = _repeated(semconv.ENVELOPE_TYPE)
_channel = _repeated(semconv.ENVELOPE_CHANNEL)
_parent_type = _repeated(semconv.PARENT_TYPE)
_parent_source = _repeated(semconv.PARENT_SOURCE)
_outcome = _repeated(semconv.DELIVERY_OUTCOME)
_error_type = _repeated(semconv.ERROR_TYPE)

_ENVELOPE = _SEVERITY + delimited(_EVENT_NAME, semconv.ENVELOPE_EVENT.encode())
_DELIVERY = _SEVERITY + delimited(_EVENT_NAME, semconv.DELIVERY_EVENT.encode())
_PROCESS = _SEVERITY + delimited(_EVENT_NAME, semconv.PROCESS_EVENT.encode())
_recorded_by = _repeated(semconv.RECORDED_BY)
_operation = _repeated(semconv.DELIVERY_OPERATION)
_PARENT_INFERRED = attribute(_ATTRIBUTES, semconv.PARENT_INFERRED, value=True)

# What a queued record weighs beside its text: tuples, ids and numbers (tests measure it).
RECORD_BYTES = 1_024

KindOf = Callable[[str], tuple[str | None, bool]]
"""The kind of a type ("command", "event" or None) and whether it was inferred."""


def weight(record: Record) -> int:
    """The memory a queued record is accounted with, in bytes."""
    envelope = record.envelope
    text = envelope.text
    if text is not None:
        return RECORD_BYTES + len(text)
    payload = envelope.payload
    # Only what cannot change: the same record must weigh the same when it leaves.
    return RECORD_BYTES + (len(payload) if isinstance(payload, bytes | str) else RECORD_BYTES)


class Encoder:
    """
    Writes records as ``LogRecord`` messages.

    Args:
        kind: Asked, once per type, for the kind of envelopes that do not say it themselves.
    """

    def __init__(self, kind: KindOf) -> None:
        # Types and sources are few in a service; the cache is bounded should they not be.
        self._of_type = lru_cache(maxsize=1024)(lambda name: _type_attributes(name, *kind(name)))
        self._of_source = lru_cache(maxsize=1024)(_source_attributes)

    def __call__(self, record: Record) -> bytes:
        """
        One ``LogRecord`` message.

        Raises:
            Exception: Whatever a field of the wrong type leads to; the caller counts it.
        """
        if isinstance(record, EnvelopeRecord):
            return self._envelope(record)
        return self._delivery(record)

    def _envelope(self, record: EnvelopeRecord) -> bytes:
        # Unpacked at once: 21 look-ups of attributes would be a tenth of the cost.
        (
            envelope,
            observed_ns,
            trace_id,
            span_id,
            flags,
            channel,
            recorded_by,
            parent_inferred,
            cause_span_id,
            parent_type,
            parent_source,
            parent_timestamp,
            leaving,
        ) = astuple(record)
        id_, type_, timestamp, source, parent_id, own_channel, kind, _, body, _ = envelope
        if body is None or not body.isascii():
            body = envelope_json(envelope)
        time_ns = _nanoseconds(timestamp)
        encoded_id = utf8(id_)
        parts = [
            _head(
                0x09,
                observed_ns if time_ns is None else time_ns,
                0x59,
                observed_ns,
                0x45,
                flags,
                0x4A,
                16,
                trace_id.to_bytes(16, "big"),
                0x52,
                8,
                span_id.to_bytes(8, "big"),
            ),
            _ENVELOPE,
            text_body_head(len(body)),
            body,
            _id.head(len(encoded_id)),
            encoded_id,
            _cloud_id.head(len(encoded_id)),
            encoded_id,
            self._of_type(type_)
            if kind is None
            else _type_attributes(type_, kind, inferred=False),
            self._of_source(source),
            _recorded_by(recorded_by),
            b"" if leaving is None else _leaving(leaving),
        ]
        if recorded_by == "sender" and time_ns is not None:
            parts.append(_send_lag((observed_ns - time_ns) / 1e6))
        if channel is None:
            channel = own_channel
        if channel is not None:
            parts.append(_channel(channel))
        if cause_span_id:
            parts += (_CAUSE, b"%016x" % cause_span_id)
        if parent_id is not None:
            encoded_parent = utf8(parent_id)
            parts += (_parent_id.head(len(encoded_parent)), encoded_parent)
            if parent_inferred:
                parts.append(_PARENT_INFERRED)
        if parent_type is not None and parent_source is not None:
            parts += (_parent_type(parent_type), _parent_source(parent_source))
        if parent_timestamp is not None and timestamp is not None:
            parts.append(_parent_lag(timestamp - parent_timestamp))
        return b"".join(parts)

    def _delivery(self, record: DeliveryRecord) -> bytes:
        envelope = record.envelope
        parts = [
            _head(
                0x09,
                record.started_ns,
                0x59,
                record.ended_ns,
                0x45,
                record.trace_flags,
                0x4A,
                16,
                record.trace_id.to_bytes(16, "big"),
                0x52,
                8,
                record.span_id.to_bytes(8, "big"),
            ),
            _DELIVERY,
            _id(utf8(envelope.id)),
            _type(envelope.type),
            _operation(record.operation),
            _outcome(record.outcome),
            _duration((record.ended_ns - record.started_ns) / 1e6),
        ]
        sent_ns = _nanoseconds(envelope.timestamp)
        if sent_ns is not None:
            parts.append(_lag((record.started_ns - sent_ns) / 1e6))
        if record.channel is not None:
            parts.append(_channel(record.channel))
        if record.error_type is not None:
            parts.append(_error_type(record.error_type))
        if record.attempt is not None:
            parts.append(attribute(_ATTRIBUTES, semconv.DELIVERY_ATTEMPT, record.attempt))
        if record.redelivered is not None:
            parts.append(attribute(_ATTRIBUTES, semconv.DELIVERY_REDELIVERED, record.redelivered))
        if record.leaving is not None:
            parts.append(_leaving(record.leaving))
        return b"".join(parts)


def process_record(state: Mapping[str, Any], now_ns: int, pid: int) -> bytes:
    """What a process says of itself, as a ``LogRecord`` message."""
    body = json.dumps(state, default=str).encode()
    return b"".join(
        (
            struct.pack("<BQBQ", 0x09, now_ns, 0x59, now_ns),
            _PROCESS,
            delimited(_BODY, delimited(1, body)),
            delimited(_ATTRIBUTES, key_value(semconv.PROCESS_PID, pid)),
        )
    )


def _type_attributes(name: str, kind: str | None, inferred: bool) -> bytes:  # noqa: FBT001 - as `KindOf` answers
    parts = [_type(name), attribute(_ATTRIBUTES, semconv.CLOUDEVENTS_EVENT_TYPE, name)]
    if kind is not None:
        parts.append(attribute(_ATTRIBUTES, semconv.ENVELOPE_KIND, kind))
        if inferred:
            parts.append(attribute(_ATTRIBUTES, semconv.ENVELOPE_KIND_INFERRED, value=True))
    return b"".join(parts)


def _source_attributes(source: tuple[str, str]) -> bytes:
    name, version = source
    parts = []
    if name:
        parts.append(attribute(_ATTRIBUTES, semconv.ENVELOPE_SOURCE_NAME, name))
        parts.append(attribute(_ATTRIBUTES, semconv.CLOUDEVENTS_EVENT_SOURCE, name))
    if version:
        parts.append(attribute(_ATTRIBUTES, semconv.ENVELOPE_SOURCE_VERSION, version))
    return b"".join(parts)


# A type leaves in few sets of fields.
@lru_cache(maxsize=1024)
def _leaving(leaving: Leaving) -> bytes:
    declared, left = (json.dumps(sorted(names)) for names in leaving)
    return b"".join(
        (
            attribute(_ATTRIBUTES, semconv.CONTRACT_DECLARED, declared),
            attribute(_ATTRIBUTES, semconv.CONTRACT_LEFT, left),
        )
    )


def _nanoseconds(timestamp_ms: float | None) -> int | None:
    """Unix nanoseconds; None when missing, or past 2262, where readers of OTLP overflow."""
    if timestamp_ms is None or not 0 < timestamp_ms <= _LATEST_NS // 1_000_000:
        return None
    if isinstance(timestamp_ms, int):
        return timestamp_ms * 1_000_000
    # Via microseconds: a float holds today's milliseconds to 0.2 µs, not today's nanoseconds.
    return round(timestamp_ms * 1000) * 1000
