"""A shop's job: `arq by_arq.Settings`."""

from __future__ import annotations

import asyncio
import os

from typing import Any

import shop

from arq import ArqRedis, func
from redis.asyncio import ConnectionPool


# Without its timeout, as wait_for of Python 3.11 may swallow SIGTERM.
pool = ArqRedis(
    ConnectionPool.from_url(os.environ["BROKER"], socket_timeout=None),
    default_queue_name=os.environ["QUEUE"],
)


async def handle(ctx: dict[str, Any], body: dict[str, Any]) -> None:
    for each in shop.work(body):
        await ctx["redis"].enqueue_job("handle", each)


class Settings:
    functions = (func(handle, name="handle"),)
    queue_name = pool.default_queue_name
    redis_pool = pool
    job_completion_wait = 10  # seconds; without, SIGTERM cancels what is being handled


def send(body: dict[str, Any]) -> None:
    async def sent() -> None:
        await pool.enqueue_job("handle", body)
        await pool.connection_pool.disconnect()

    asyncio.run(sent())
