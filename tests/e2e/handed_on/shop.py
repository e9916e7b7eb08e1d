"""What the examples of docs/handling.md import: messages out of Kafka, and what follows."""

from __future__ import annotations

import json
import os
import threading

from collections.abc import AsyncIterator, Iterator
from typing import Any

import otelope


ADDRESS = os.environ["SHOP_KAFKA"]
ORDERS, EVENTS = os.environ["SHOP_ORDERS"], os.environ["SHOP_EVENTS"]
COUNT = int(os.environ["SHOP_COUNT"])
FAILS = 3

_all_received = threading.Event()
_receives = False


def messages() -> Iterator[Any]:
    """So many messages; in this process none is handled before the consumer has gone on."""
    from confluent_kafka import Consumer

    global _receives  # noqa: PLW0603 - it is this process's part
    _receives = True
    consumer = Consumer(
        {"bootstrap.servers": ADDRESS, "group.id": ORDERS, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([ORDERS])
    for _ in range(COUNT):
        while (message := consumer.poll(0.2)) is None or message.error():
            pass
        yield message
    consumer.close()
    _all_received.set()


def handle(body: bytes) -> None:
    """Send an event; one of the orders fails."""
    from confluent_kafka import Producer

    if _receives:
        _all_received.wait()
    producer = Producer({"bootstrap.servers": ADDRESS, "linger.ms": 0})
    producer.produce(EVENTS, otelope.envelope("OrderPlaced").to_json())
    producer.flush()
    if json.loads(body)["payload"] == FAILS:
        raise ValueError("no such order")


async def messages_async() -> AsyncIterator[Any]:
    """So many messages of an asyncio client."""
    from aiokafka import AIOKafkaConsumer

    async with AIOKafkaConsumer(
        ORDERS, bootstrap_servers=ADDRESS, group_id=ORDERS, auto_offset_reset="earliest"
    ) as consumer:
        for _ in range(COUNT):
            yield await consumer.getone()
    _all_received.set()


async def handle_async(_: bytes) -> None:
    """Send an event."""
    from aiokafka import AIOKafkaProducer

    async with AIOKafkaProducer(bootstrap_servers=ADDRESS) as producer:
        await producer.send_and_wait(EVENTS, otelope.envelope("OrderPlaced").to_json())
