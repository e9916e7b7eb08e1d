"""confluent-kafka: Kafka by librdkafka; `poll` and `consume`, also with (de)serializers."""

from __future__ import annotations

from confluent_kafka import cimpl

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import PAIRS
from otelope.core.message import Message
from otelope.core.sites import Receive, Send, Settle


def produced(call: Call) -> Message:
    return Message(call["topic"], call["value"], call["headers"])


def consumed(message: cimpl.Message) -> Message:
    return Message(message.topic(), message.value(), message.headers())


# The classes are written in C and have no signatures; SerializingProducer and
# DeserializingConsumer inherit from them and pass serialized bytes.
ADAPTER = Adapter(
    system="kafka",
    carrier=PAIRS,
    sites=(
        Send(
            "confluent_kafka.cimpl:Producer.produce",
            produced,
            parameters="topic value key partition callback on_delivery timestamp headers",
        ),
        Receive(
            "confluent_kafka.cimpl:Consumer.poll",
            lambda got, _: [consumed(got)] if got is not None and got.error() is None else [],
            parameters="timeout",
        ),
        Receive(
            "confluent_kafka.cimpl:Consumer.consume",
            lambda got, _: [consumed(message) for message in got if message.error() is None],
            parameters="num_messages timeout",
        ),
        Settle("confluent_kafka.cimpl:Consumer.commit", parameters="message offsets asynchronous"),
        Settle("confluent_kafka.cimpl:Consumer.close", parameters=" "),
    ),
    contrib="opentelemetry.instrumentation.confluent_kafka:ConfluentKafkaInstrumentor",
    message=lambda item: consumed(item) if isinstance(item, cimpl.Message) else None,
)
