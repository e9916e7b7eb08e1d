"""A shop's task: `taskiq worker by_taskiq:broker`."""

from __future__ import annotations

import asyncio
import os

from typing import Any

import shop

from taskiq_redis import ListQueueBroker


broker = ListQueueBroker(os.environ["BROKER"], queue_name=os.environ["QUEUE"])


@broker.task
async def handle(body: dict[str, Any]) -> None:
    for each in shop.work(body):
        await handle.kiq(each)


def send(body: dict[str, Any]) -> None:
    async def sent() -> None:
        await broker.startup()
        await handle.kiq(body)
        await broker.shutdown()

    asyncio.run(sent())
