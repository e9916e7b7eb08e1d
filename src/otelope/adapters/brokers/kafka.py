"""kafka-python: Kafka; iteration and `poll`, also with (de)serializers."""

from __future__ import annotations

from typing import Any

from kafka import KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import PAIRS
from otelope.core.message import Message
from otelope.core.sites import Receive, Send, Settle
from otelope.core.sites.transaction import transactions_of


_CONSUMER = "kafka.consumer.group:KafkaConsumer"
_PRODUCER = "kafka.producer.kafka:KafkaProducer"
_TRANSACTS = hasattr(KafkaProducer, "begin_transaction")  # since 2.1


def sent(call: Call) -> Message:
    return Message(call["topic"], call["value"], call["headers"])


def stamped(call: Call, headers: list[Any]) -> None:
    # Of what is no list, the library says so.
    if isinstance(call["headers"] or [], list):
        call["headers"] = headers


def consumed(record: ConsumerRecord) -> Message:
    return Message(record.topic, record.value, record.headers)


def polled(batches: Any, asked: Call) -> list[Message]:
    # False in the iterator's own polls: their records are handed over one by one.
    if asked["update_offsets"] is False:
        return []
    return [consumed(record) for records in batches.values() for record in records]


ADAPTER = Adapter(
    system="kafka",
    carrier=PAIRS,
    sites=(
        Send(f"{_PRODUCER}.send", sent, stamped),
        *(transactions_of(_PRODUCER) if _TRANSACTS else ()),
        Receive(f"{_CONSUMER}.__next__", lambda record, _: [consumed(record)]),
        Receive(f"{_CONSUMER}.poll", polled),
        *(Settle(f"{_CONSUMER}.{name}") for name in ("commit", "commit_async", "close")),
    ),
    contrib="opentelemetry.instrumentation.kafka:KafkaInstrumentor",
    message=lambda item: consumed(item) if isinstance(item, ConsumerRecord) else None,
)
