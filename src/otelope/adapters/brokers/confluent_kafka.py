"""confluent-kafka: Kafka by librdkafka; `poll` and `consume`, (de)serializers, and its asyncio."""

from __future__ import annotations

from typing import Any

from confluent_kafka import cimpl

from otelope.core.adapter import Adapter, Site
from otelope.core.call import Call
from otelope.core.carriers import BARE, PAIRS
from otelope.core.message import Message
from otelope.core.sites import Receive, Send, Settle


_CONSUMER = "confluent_kafka.cimpl:Consumer"
_AIO = "confluent_kafka.aio"
_TASKS = f"{_AIO}:AIOConsumer"
_BOTH = ("poll", "consume")


def produced(call: Call) -> Message:
    return Message(call["topic"], call["value"], call["headers"])


def consumed(message: cimpl.Message) -> Message:
    return Message(message.topic(), message.value(), message.headers())


def polled(got: Any, _: Call) -> list[Message]:
    found = got if isinstance(got, list) else [got]
    return [consumed(each) for each in found if each is not None and each.error() is None]


def batched(call: Call) -> Message:
    return Message(call["topic"], call["value"])  # it takes no headers


SENDS = (Send(f"{_AIO}:AIOProducer.produce", batched),)
RECEIVES: tuple[Site, ...] = (
    *(Receive(f"{_TASKS}.{how}", polled, through=lambda c: c._consumer) for how in _BOTH),  # noqa: SLF001
    *(Settle(f"{_TASKS}.{name}") for name in ("commit", "close")),
)
TAKES = "topic value key partition callback on_delivery timestamp headers"
# The classes are written in C and have no signatures; SerializingProducer and
# DeserializingConsumer inherit from them and pass serialized bytes.
ADAPTER = Adapter(
    system="kafka",
    carrier=PAIRS,
    sites=(
        Send("confluent_kafka.cimpl:Producer.produce", produced, parameters=TAKES),
        Receive(f"{_CONSUMER}.poll", polled, parameters="timeout"),
        Receive(f"{_CONSUMER}.consume", polled, parameters="num_messages timeout"),
        Settle(f"{_CONSUMER}.commit", parameters="message offsets asynchronous"),
        Settle(f"{_CONSUMER}.close", parameters=" "),
    ),
    contrib="opentelemetry.instrumentation.confluent_kafka:ConfluentKafkaInstrumentor",
    parts=((_AIO, Adapter("kafka", BARE, SENDS)), (_AIO, Adapter("kafka", PAIRS, RECEIVES))),
    message=lambda item: consumed(item) if isinstance(item, cimpl.Message) else None,
)
