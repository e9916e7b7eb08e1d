"""The chain over taskiq: tasks that a receiver runs in this service's loop."""

from __future__ import annotations

import asyncio
import json

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from taskiq.api import run_receiver_task
from taskiq.kicker import AsyncKicker


TASK = "act"


def run(work: Any, _: str) -> None:
    work.run_until_cancelled(_work(work))


async def _work(work: Any) -> None:
    async with AsyncExitStack() as stack:
        to: dict[str, Any] = {}

        async def send(messages: Iterable[Any]) -> None:
            for message in messages:
                if message.channel not in to:
                    opened = started(broker_of(work.broker, message.channel))
                    to[message.channel] = await stack.enter_async_context(opened)
                kicker: Any = AsyncKicker(TASK, to[message.channel], {})
                await kicker.kiq(json.loads(message.body))

        async def act(body: dict[str, Any]) -> None:
            await send(work.react(json.dumps(body).encode()))

        await send(work.first())
        while work.relays:
            await send(work.due())
            await asyncio.sleep(0.1)
        inbox = broker_of(work.broker, work.inbox)
        inbox.register_task(act, task_name=TASK)
        async with started(inbox, works=True):
            await run_receiver_task(inbox, max_async_tasks=10)


@asynccontextmanager
async def started(broker: Any, *, works: bool = False) -> AsyncIterator[Any]:
    broker.is_worker_process = works
    await broker.startup()
    try:
        yield broker
    finally:
        await broker.shutdown()


def broker_of(address: str, channel: str) -> Any:
    """The broker whose one queue has this name."""
    if address.startswith("redis:"):
        from taskiq_redis import ListQueueBroker

        return ListQueueBroker(address, queue_name=channel)
    from taskiq_aio_pika import AioPikaBroker, Exchange, Queue

    return AioPikaBroker(
        address, exchange=Exchange(name=channel), task_queues=[Queue(name=channel)]
    )
