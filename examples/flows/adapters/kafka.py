"""The broker port by confluent-kafka."""

from __future__ import annotations

import signal
import threading
import time
import traceback

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # re-exported, not declared

from examples.flows.ports import Keyed, Refused, Unavailable
from examples.flows.steps import reached


_SECONDS_TO_PUBLISH = 10
_SECONDS_TO_ASK = 10
_REFUSALS = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD)
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
            {
                "bootstrap.servers": address,
                "linger.ms": 0,
                # Without it, a batch that is tried again may arrive behind the next one.
                "enable.idempotence": True,
                "message.timeout.ms": _SECONDS_TO_PUBLISH * 1000,
            }
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
        outcomes: list[tuple[str, KafkaError | None]] = []
        awaited = 0
        for key, body in messages:
            awaited += 1
            try:
                delivered = partial(_note, outcomes, key)
                self._producer.produce(channel, body, key, on_delivery=delivered)
            except BufferError:
                outcomes.append((key, KafkaError(KafkaError._QUEUE_FULL)))  # noqa: SLF001 - public
                break
            except KafkaException as error:
                outcomes.append((key, error.args[0]))
                break
        # Each is told of within message.timeout.ms, so nothing is left that could arrive later.
        # Another thread's poll may be the one that is told, so none lasts long.
        while len(outcomes) < awaited:
            self._producer.poll(0.02)
        for key, outcome in outcomes:
            if outcome is not None:
                _raise(channel, key, outcome)

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
        parts = [part for channel in channels for part in _partitions(consumer, channel)]
        consumer.assign(_left_off(consumer, parts))
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


def _note(
    outcomes: list[tuple[str, KafkaError | None]], key: str, error: KafkaError | None, _: Message
) -> None:
    outcomes.append((key, error))


def _raise(channel: str, key: str, error: KafkaError) -> None:
    if error.fatal():
        raise KafkaException(error)
    if error.code() in _REFUSALS:
        raise Refused(key, error)
    raise Unavailable(f"{channel}: {error}")


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    known: Any = consumer.list_topics(topic, timeout=_SECONDS_TO_ASK).topics[topic].partitions
    if not known:
        raise Unavailable(f"there is no topic {topic}")
    return [TopicPartition(topic, number) for number in known]


def _left_off(consumer: Consumer, parts: list[TopicPartition]) -> list[TopicPartition]:
    """The same, each with the offset where the group goes on."""
    deadline = time.monotonic() + _SECONDS_TO_ASK
    while True:
        try:
            return [
                # Below 0: nothing is committed.
                TopicPartition(at.topic, at.partition, max(at.offset, OFFSET_BEGINNING))
                for at in consumer.committed(parts, _SECONDS_TO_ASK)
            ]
        except KafkaException:
            # A new server knows no coordinator yet. Left to itself, librdkafka 2.16 may not ask
            # again after NOT_COORDINATOR, and never get a message.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _handle(
    consumer: Consumer,
    message: Message,
    handle: Callable[[bytes], None],
    hopeless: tuple[type[Exception], ...],
) -> None:
    if (error := message.error()) is not None:
        if error.fatal():
            raise KafkaException(error)
        # librdkafka tries again by itself.
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
    reached(f"broker: acknowledge({message.topic()})")
