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
            producer.send(message.channel, message.body)
        producer.flush()

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    if not work.relays:
        receive = {"iteration": _iterated, "poll": _polled}[mode]
        consumer = KafkaConsumer(
            work.inbox,
            bootstrap_servers=work.broker,
            group_id=work.inbox,
            auto_offset_reset="earliest",
            consumer_timeout_ms=200,
        )
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
