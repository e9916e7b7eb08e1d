"""Records as the instrumenter makes them."""

from __future__ import annotations

import json

from otelope.core.records import DeliveryRecord, EnvelopeRecord
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


def kind(_type: str) -> tuple[str | None, bool]:
    return "event", True
