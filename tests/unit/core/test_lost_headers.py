"""Foreign ids whose headers were lost: no span gets a parent that nobody exported."""

from __future__ import annotations

import json

from uuid import uuid4

import pytest

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelope.codecs import Codecs
from otelope.core.adapter import Adapter
from otelope.core.carriers import PAIRS
from otelope.core.instrumenter import Instrumenter
from otelope.core.kinds import kind_of
from otelope.core.message import Message
from otelope.core.settings import Settings
from otelope.core.tracing import Tracing


KAFKA = Adapter(system="kafka", carrier=PAIRS, sites=())


def _body(parent: str | None) -> tuple[str, bytes]:
    own = str(uuid4())
    source = {"name": "orders", "version": "1"}
    envelope = {"id": own, "type": "OrderPlaced", "timestamp": 1.8e12, "source": source}
    return own, json.dumps({**envelope, "parentId": parent}).encode()


@pytest.mark.parametrize("batch", [1, 3])
def test_children_join_the_delivery_of_what_lost_its_headers(batch: int):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = Settings()
    codecs = Codecs({}, settings.max_body_bytes)
    instrumenter = Instrumenter(
        settings,
        codecs.recognise,
        codecs.payload_of,
        kind_of((), ()),
        [].append,
        Tracing(provider),
    )
    # Their senders joined other traces: the spots of these ids are nobody's.
    received = [_body(str(uuid4())) for _ in range(batch)]
    delivery = instrumenter.deliver([Message("orders", body) for _, body in received], KAFKA)
    delivery.attach()
    for parent, _ in received:
        with instrumenter.send(Message("payments", _body(parent)[1]), KAFKA):
            pass
    delivery.end()
    *sent, delivered = exporter.get_finished_spans()
    assert len(sent) == batch
    assert len(delivered.links) == batch
    assert delivered.parent is None
    assert {span.parent.span_id for span in sent} == {delivered.context.span_id}
