"""aiokafka: Kafka for asyncio; `getone`, `async for` and `getmany`."""

from __future__ import annotations

from aiokafka.structs import ConsumerRecord

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import PAIRS
from otelope.core.message import Message
from otelope.core.sites import Receive, Send, Settle


def sent(call: Call) -> Message:
    return Message(call["topic"], call["value"], call["headers"])


def fetched(record: ConsumerRecord) -> Message:
    return Message(record.topic, record.value, record.headers)


ADAPTER = Adapter(
    system="kafka",
    carrier=PAIRS,
    sites=(
        Send("aiokafka.producer.producer:AIOKafkaProducer.send", sent),
        # `async for` steps through getone.
        Receive(
            "aiokafka.consumer.consumer:AIOKafkaConsumer.getone",
            lambda record, _: [fetched(record)],
        ),
        Receive(
            "aiokafka.consumer.consumer:AIOKafkaConsumer.getmany",
            lambda batches, _: [fetched(r) for records in batches.values() for r in records],
        ),
        Settle("aiokafka.consumer.consumer:AIOKafkaConsumer.commit"),
        Settle("aiokafka.consumer.consumer:AIOKafkaConsumer.stop"),
    ),
    contrib="opentelemetry.instrumentation.aiokafka:AIOKafkaInstrumentor",
    message=lambda item: fetched(item) if isinstance(item, ConsumerRecord) else None,
)
