"""The chain over aio-pika: a callback, an iterator, or `get`; each message within `process()`."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Iterable
from typing import Any

from aio_pika import Message, connect_robust


def run(work: Any, mode: str) -> None:
    if mode == "get":
        # It sees `work.stopped`: aiormq 6.9 lost 68 of 300 cancellations of a `get`.
        asyncio.run(_work(work, mode))
    else:
        work.run_until_cancelled(_work(work, mode))


async def _work(work: Any, mode: str) -> None:
    async with await connect_robust(work.broker) as connection:
        channel = await connection.channel()

        async def send(messages: Iterable[Any]) -> None:
            for message in messages:
                await channel.default_exchange.publish(Message(message.body), message.channel)

        async def received(message: Any) -> None:
            async with message.process():
                await send(work.react(message.body))

        await send(work.first())
        while work.relays:
            if work.stopped:
                return
            await send(work.due())
            await asyncio.sleep(0.1)
        await _receive(work, mode, await channel.get_queue(work.inbox), received)


async def _receive(work: Any, mode: str, queue: Any, received: Callable[[Any], Any]) -> None:
    if mode == "callback":
        await queue.consume(received)
        await asyncio.Event().wait()
    elif mode == "iterator":
        async with queue.iterator() as messages:
            async for message in messages:
                await received(message)
    while not work.stopped:
        got = await queue.get(fail=False)
        if got is None:
            await asyncio.sleep(0.05)
        else:
            await received(got)
