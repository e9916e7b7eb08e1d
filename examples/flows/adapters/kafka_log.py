"""The log port by confluent-kafka: what lies in a Kafka's topics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from opentelemetry.instrumentation.utils import suppress_instrumentation


_SECONDS = 10


class KafkaLog:
    """
    A Kafka's topics, from their beginning.

    Args:
        address: ``host:port``.
    """

    def __init__(self, address: str) -> None:
        self._settings = {
            "bootstrap.servers": address,
            "group.id": "none",  # it commits nothing
            # The embedded broker keeps a fetch waiting this long, even when there are messages.
            "fetch.wait.max.ms": 10,
        }

    def replay(self, channels: Sequence[str]) -> list[bytes]:
        """See `Log.replay`."""
        consumer = Consumer(self._settings)
        try:
            # To read again what was said is not to handle it.
            with suppress_instrumentation():
                return [body for topic in channels for body in _bodies(consumer, topic)]
        finally:
            consumer.close()


def _bodies(consumer: Consumer, topic: str) -> Iterator[bytes]:
    for number in consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), _SECONDS)
        consumer.assign([TopicPartition(topic, number, first)])
        while first < end:
            message: Any = consumer.poll(_SECONDS)
            if message is None:
                raise TimeoutError(f"{topic} says nothing, though it has something to say")
            if message.error():
                raise KafkaException(message.error())
            first = message.offset() + 1
            yield message.value() or b""
