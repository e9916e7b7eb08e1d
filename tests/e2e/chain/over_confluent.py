"""The chain over confluent-kafka: `poll`, `consume`, or its asyncio client (`aio`)."""

from __future__ import annotations

import asyncio
import time

from collections.abc import Iterable
from typing import Any

import confluent_kafka


def run(work: Any, mode: str) -> None:
    if mode == "aio":
        asyncio.run(_in_loop(work))
        return
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
    consumer = confluent_kafka.Consumer(_consuming(work))
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


async def _in_loop(work: Any) -> None:
    from confluent_kafka.aio import AIOConsumer, AIOProducer

    async with AIOProducer({"bootstrap.servers": work.broker, "linger.ms": 0}) as producer:

        async def send(messages: Iterable[Any]) -> None:
            for message in messages:
                await producer.produce(message.channel, message.body)
            await producer.flush()

        await send(work.first())
        while work.relays and not work.stopped:
            await send(work.due())
            await asyncio.sleep(0.1)
        if work.relays:
            return
        async with AIOConsumer(_consuming(work)) as consumer:
            await consumer.subscribe([work.inbox])
            while not work.stopped:
                message = await consumer.poll(0.2)
                if message is not None:
                    if message.error():
                        raise confluent_kafka.KafkaException(message.error())
                    await send(work.react(message.value()))
                    await consumer.commit(message=message, asynchronous=False)


def _consuming(work: Any) -> dict[str, Any]:
    return {
        "bootstrap.servers": work.broker,
        "group.id": work.inbox,
        "auto.offset.reset": "earliest",
    }
