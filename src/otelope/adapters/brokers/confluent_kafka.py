"""confluent-kafka: Kafka by librdkafka; `poll` and `consume`, (de)serializers, and its asyncio."""

from __future__ import annotations

from typing import Any

from confluent_kafka import cimpl

from otelope.core.adapter import Adapter, Site
from otelope.core.call import Call
from otelope.core.carriers import BARE, PAIRS
from otelope.core.message import Message
from otelope.core.sites import Receive, Send, Settle
from otelope.core.sites.transaction import transactions_of


_CONSUMER = "confluent_kafka.cimpl:Consumer"
_AIO = "confluent_kafka.aio"
_SENDER, _RECEIVER = f"{_AIO}:AIOProducer", f"{_AIO}:AIOConsumer"
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


SENDS: tuple[Site, ...] = (Send(f"{_SENDER}.produce", batched), *transactions_of(_SENDER))
RECEIVES: tuple[Site, ...] = (
    *(Receive(f"{_RECEIVER}.{how}", polled, through=lambda c: c._consumer) for how in _BOTH),  # noqa: SLF001
    *(Settle(f"{_RECEIVER}.{name}") for name in ("commit", "close")),
)
TAKES = "topic value key partition callback on_delivery timestamp headers"
# The classes are written in C and have no signatures; SerializingProducer and
# DeserializingConsumer inherit from them and pass serialized bytes.
ADAPTER = Adapter(
    system="kafka",
    carrier=PAIRS,
    sites=(
        Send("confluent_kafka.cimpl:Producer.produce", produced, parameters=TAKES),
        *transactions_of("confluent_kafka.cimpl:Producer", parameters="timeout"),
        *(Receive(f"{_CONSUMER}.{how}", polled, parameters="timeout") for how in _BOTH),
        *(Settle(f"{_CONSUMER}.{how}", parameters=" ") for how in ("commit", "close")),
    ),
    contrib="opentelemetry.instrumentation.confluent_kafka:ConfluentKafkaInstrumentor",
    parts=((_AIO, Adapter("kafka", BARE, SENDS)), (_AIO, Adapter("kafka", PAIRS, RECEIVES))),
    message=lambda item: consumed(item) if isinstance(item, cimpl.Message) else None,
)
