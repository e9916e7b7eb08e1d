"""The chain over aiokafka: `async for` or `getmany`, or what is sent as batches of one."""

from __future__ import annotations

import asyncio

from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


def run(work: Any, mode: str) -> None:
    work.run_until_cancelled(_work(work, mode))


async def _work(work: Any, mode: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=work.broker) as producer:

        async def send(messages: Iterable[Any]) -> None:
            for channel, body in messages:
                if mode == "send_batch":
                    batch = producer.create_batch()
                    batch.append(key=None, value=body, timestamp=None)
                    await (await producer.send_batch(batch, channel, partition=0))
                else:
                    await producer.send_and_wait(channel, body)

        await send(work.first())
        while work.relays:
            await send(work.due())
            await asyncio.sleep(0.1)
        async with AIOKafkaConsumer(
            work.inbox,
            bootstrap_servers=work.broker,
            group_id=work.inbox,
            auto_offset_reset="earliest",
        ) as consumer:
            if mode == "getmany":
                while True:
                    for batch in (await consumer.getmany(timeout_ms=200)).values():
                        for message in batch:
                            await send(work.react(message.value))
            async for message in consumer:
                await send(work.react(message.value))
                await consumer.commit()
