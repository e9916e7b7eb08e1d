"""
The chain over pulsar-client.

`receive`, `batch_receive` and a `listener`, which sends by `send_async`; or all in `asyncio`.
"""

from __future__ import annotations

import asyncio
import time

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pulsar


SHARED = {
    "consumer_type": pulsar.ConsumerType.Shared,
    "initial_position": pulsar.InitialPosition.Earliest,
}


def run(work: Any, mode: str) -> None:
    if mode == "asyncio":
        work.run_until_cancelled(_in_asyncio(work))
    else:
        _in_threads(work, mode)


def _in_threads(work: Any, mode: str) -> None:
    client = pulsar.Client(work.broker)
    producers: dict[str, Any] = {}

    def send(messages: Iterable[Any]) -> None:
        for message in messages:
            if message.channel not in producers:
                producers[message.channel] = client.create_producer(message.channel)
            if mode == "listener":
                producers[message.channel].send_async(message.body, _confirmed)
            else:
                producers[message.channel].send(message.body)

    def listener(consumer: Any, message: Any) -> None:
        send(work.react(message.data()))
        consumer.acknowledge(message)

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    if not work.relays:
        _receive(work, mode, client, send, listener)
    client.close()


def _confirmed(result: Any, _: Any) -> None:
    assert result == pulsar.Result.Ok


def _receive(work: Any, mode: str, client: Any, send: Any, listener: Any) -> None:
    if mode == "listener":
        client.subscribe(work.inbox, "workers", message_listener=listener, **SHARED)
        while not work.stopped:
            time.sleep(0.1)
        return
    batches = pulsar.ConsumerBatchReceivePolicy(10, -1, 200)
    consumer = client.subscribe(work.inbox, "workers", batch_receive_policy=batches, **SHARED)
    while not work.stopped:
        received = []
        with suppress(pulsar.Timeout):
            batch = mode == "batch_receive"
            received = consumer.batch_receive() if batch else [consumer.receive(200)]
        for message in received:
            send(work.react(message.data()))
            consumer.acknowledge(message)


async def _in_asyncio(work: Any) -> None:
    from pulsar.asyncio import Client

    client = Client(work.broker)
    producers: dict[str, Any] = {}

    async def send(messages: Iterable[Any]) -> None:
        for message in messages:
            if message.channel not in producers:
                producers[message.channel] = await client.create_producer(message.channel)
            await producers[message.channel].send(message.body)

    try:
        await send(work.first())
        while work.relays:
            await send(work.due())
            await asyncio.sleep(0.1)
        consumer = await client.subscribe(work.inbox, "workers", **SHARED)
        while True:
            message = await consumer.receive()
            await send(work.react(message.data()))
            await consumer.acknowledge(message)
    finally:
        await client.close()
