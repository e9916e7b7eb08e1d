"""The chain over kafka-python: iteration, or `poll`."""

from __future__ import annotations

import time

from collections.abc import Iterable, Iterator
from typing import Any

from kafka import KafkaConsumer, KafkaProducer


def run(work: Any, mode: str) -> None:
    producer = KafkaProducer(bootstrap_servers=work.broker)

    def send(messages: Iterable[Any]) -> None:
        for message in messages:
            producer.send(message.channel, message.body).get(30)

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    if not work.relays:
        receive = {"iteration": _iterated, "poll": _polled}[mode]
        consumer = KafkaConsumer(
            bootstrap_servers=work.broker,
            group_id=work.inbox,
            auto_offset_reset="earliest",
            consumer_timeout_ms=200,
        )
        consumer.subscribe([work.inbox])
        # A consumer of kafka-python 3.0.12 that joins its group before it knows the topic joins
        # again when it does. If the poll ends before that does, it forgets to go on: `need_rejoin`
        # is false by then. Seen without otelope in 4 of 36 joins, and with this line in 0 of 80.
        consumer.partitions_for_topic(work.inbox)
        for value in receive(work, consumer):
            send(work.react(value))
        consumer.close()
    producer.close()


def _iterated(work: Any, consumer: Any) -> Iterator[bytes]:
    while not work.stopped:
        for record in consumer:
            yield record.value
            consumer.commit()


def _polled(work: Any, consumer: Any) -> Iterator[bytes]:
    while not work.stopped:
        for records in consumer.poll(200).values():
            for record in records:
                yield record.value
