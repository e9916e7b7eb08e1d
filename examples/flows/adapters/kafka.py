"""The broker port by confluent-kafka."""

from __future__ import annotations

import signal
import threading
import traceback

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import (
    OFFSET_STORED,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # re-exported, not declared

from examples.flows.ports import Keyed, Unavailable
from examples.flows.steps import reached


_SECONDS_TO_PUBLISH = 30
_SECONDS_TO_ASK = 10
_PARTITIONS = 4  # as many as the embedded broker gives a topic


class Kafka:
    """
    A Kafka, as one group sees it.

    Args:
        address: ``host:port``.
        group: Who consumes.
    """

    def __init__(self, address: str, group: str) -> None:
        self._producer = Producer(
            # Without idempotence, a batch that is tried again may arrive behind the next one.
            {"bootstrap.servers": address, "linger.ms": 0, "enable.idempotence": True}
        )
        self._settings = {
            "bootstrap.servers": address,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # The embedded broker keeps a fetch waiting this long, even when a message comes.
            "fetch.wait.max.ms": 10,
        }

    def publish(self, channel: str, messages: Sequence[Keyed]) -> None:
        """See `Broker.publish`."""
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        for message in messages:
            self._producer.produce(channel, message.body, message.key, on_delivery=delivered)
        if self._producer.flush(_SECONDS_TO_PUBLISH) or failures:
            raise Unavailable(f"not all of {len(messages)} messages arrived at {channel}")

    def consume(
        self,
        channels: Sequence[str],
        handle: Callable[[bytes], None],
        hopeless: tuple[type[Exception], ...] = (),
    ) -> None:
        """See `Broker.consume`."""
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        consumer = Consumer(self._settings)
        # One process per service, so it takes all partitions without asking the group: after a
        # kill -9 the group would wait for the dead member (10 s here, 45 s by default).
        consumer.assign([part for channel in channels for part in _partitions(consumer, channel)])
        print("ready", flush=True)
        try:
            while not stopped.is_set():
                message = consumer.poll(0.5)
                if message is not None:
                    _handle(consumer, message, handle, hopeless)
        finally:
            consumer.close()


def create_topics(address: str, topics: Sequence[str]) -> None:
    """Make what is missing. To be called before the processes start, not by them."""
    admin = AdminClient({"bootstrap.servers": address})
    missing = set(topics) - set(admin.list_topics(timeout=_SECONDS_TO_ASK).topics)
    if missing:
        made = admin.create_topics([NewTopic(topic, _PARTITIONS, 1) for topic in missing])
        for future in made.values():
            future.result(_SECONDS_TO_ASK)


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    known: Any = consumer.list_topics(topic, timeout=_SECONDS_TO_ASK).topics[topic].partitions
    if not known:
        raise Unavailable(f"there is no topic {topic}")
    return [TopicPartition(topic, number, OFFSET_STORED) for number in known]


def _handle(
    consumer: Consumer,
    message: Message,
    handle: Callable[[bytes], None],
    hopeless: tuple[type[Exception], ...],
) -> None:
    if (error := message.error()) is not None:
        if error.fatal():
            raise KafkaException(error)
        # librdkafka tries again by itself, as when a new group's coordinator is not known yet.
        print(f"goes on: {error}", flush=True)
        return
    try:
        handle(message.value() or b"")
    except hopeless:
        # Acknowledged inside of the block, so that it shows as a handling that failed.
        traceback.print_exc()
        consumer.commit(message=message, asynchronous=False)
    else:
        consumer.commit(message=message, asynchronous=False)
    reached("broker: acknowledge")
