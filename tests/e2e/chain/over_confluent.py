"""The chain over confluent-kafka: `poll` or `consume`."""

from __future__ import annotations

import time

from collections.abc import Iterable
from typing import Any

import confluent_kafka


def run(work: Any, mode: str) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": work.broker, "linger.ms": 0})

    def send(messages: Iterable[Any]) -> None:
        for message in messages:
            producer.produce(message.channel, message.body)
        producer.flush()

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    if work.relays:
        return
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": work.broker,
            "group.id": work.inbox,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([work.inbox])
    while not work.stopped:
        if mode == "consume":
            messages = consumer.consume(10, 0.2)
        else:
            message = consumer.poll(0.2)
            messages = [] if message is None else [message]
        for message in messages:
            if message.error():
                raise confluent_kafka.KafkaException(message.error())
            send(work.react(message.value()))
    consumer.close()
