"""Records and spans as the instrumenter makes them."""

from __future__ import annotations

import json
import time

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from otelope.core.attributes import attributes_of
from otelope.core.message import Message
from otelope.core.records import DeliveryRecord, EnvelopeRecord
from otelope.core.spans import Limits, Maker, OwnSpan
from otelope.model.envelope import Envelope, Source
from otelope.model.identity import identify, new_id


NOW = 1_760_000_000_123


def envelope_record(body_bytes: int = 600, text: bytes | None = None) -> EnvelopeRecord:
    id_ = new_id()
    identity = identify(id_)
    source = Source("shop", "1.2.3")
    envelope = Envelope(id_, "OrderPlaced", NOW, source, None, "orders", None, None, None)
    wire = {**envelope.to_dict(), "payload": {"note": "x" * body_bytes}}
    envelope = envelope._replace(text=text or json.dumps(wire).encode())
    return EnvelopeRecord(
        envelope, NOW * 1_000_000, identity.trace_id, identity.span_id, 1, "orders", "sender"
    )


def delivery_record() -> DeliveryRecord:
    envelope = envelope_record().envelope
    start = NOW * 1_000_000 + 5_000_000
    return DeliveryRecord(envelope, start, start + 2_500_000, 1 << 100, 77, 1, "orders", "ok")


def span(
    attributes: Mapping[str, Any] | None = None,
    name: str = "send orders",
    linked: Sequence[SpanContext] = (),
    record: Callable[[OwnSpan], None] = lambda _: None,
) -> OwnSpan:
    """A span of a send, below another, as fresh as there."""
    envelope = envelope_record().envelope
    own = identify(envelope.id)
    if attributes is None:
        attributes = attributes_of(Message("orders", b""), envelope, "kafka", "send", kind)
    return OwnSpan(
        name,
        SpanKind.PRODUCER,
        attributes,
        SpanContext(own.trace_id, own.span_id, is_remote=False, trace_flags=TraceFlags(1)),
        SpanContext(own.trace_id, own.span_id ^ 1, is_remote=True, trace_flags=TraceFlags(1)),
        linked,
        time.time_ns(),
        _MAKER,
        record,
    )


def ended_span(attributes: Mapping[str, Any] | None = None, name: str = "send orders") -> OwnSpan:
    made = span(attributes, name)
    made.end()
    return made


_MAKER = Maker(TracerProvider(), Limits())


def kind(_type: str) -> tuple[str | None, bool]:
    return "event", True
