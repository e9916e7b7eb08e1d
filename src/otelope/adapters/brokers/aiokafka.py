"""aiokafka: Kafka for asyncio; `send` and batches; `getone`, `async for` and `getmany`."""

from __future__ import annotations

from aiokafka.structs import ConsumerRecord

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import PAIRS
from otelope.core.message import Message
from otelope.core.sites import Receive, Send, Settle
from otelope.core.sites.batch import Gather, SendBatch
from otelope.core.sites.transaction import transactions_of


def sent(call: Call) -> Message:
    return Message(call["topic"], call["value"], call["headers"])


def appended(call: Call) -> Message:
    return Message(None, call["value"], call["headers"])


def fetched(record: ConsumerRecord) -> Message:
    return Message(record.topic, record.value, record.headers)


ADAPTER = Adapter(
    system="kafka",
    carrier=PAIRS,
    sites=(
        Send("aiokafka.producer.producer:AIOKafkaProducer.send", sent),
        # `send` appends, too, to a batch of its own.
        Gather(
            "aiokafka.producer.message_accumulator:BatchBuilder.append",
            appended,
            taken=lambda metadata: metadata is not None,
        ),
        SendBatch(
            "aiokafka.producer.producer:AIOKafkaProducer.send_batch",
            lambda call: (call["batch"], call["topic"]),
        ),
        *transactions_of("aiokafka.producer.producer:AIOKafkaProducer"),
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
