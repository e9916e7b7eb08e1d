"""The chain over arq: its worker by `async_run`, by `run_check` or by the `command` arq."""

from __future__ import annotations

import asyncio
import json

from collections.abc import Iterable
from typing import Any

from arq import ArqRedis, Worker, func
from arq.cli import cli


ACT = "act"
# The command finds what its worker is made of by name.
INBOX: dict[str, Any] = {}


def run(work: Any, mode: str) -> None:
    if work.relays:
        work.run_until_cancelled(_relay(work))
        return

    first = iter(work.first())  # sent once, however often the worker begins

    async def begin(ctx: dict[str, Any]) -> None:
        await send(ctx["redis"], first)

    async def act(ctx: dict[str, Any], body: dict[str, Any]) -> None:
        await send(ctx["redis"], work.react(json.dumps(body).encode()))

    INBOX.update(
        functions=[func(act, name=ACT)],
        queue_name=work.inbox,
        redis_pool=pool_of(work),
        on_startup=begin,
        poll_delay=0.05,
        keep_result=0,
    )
    if mode == "command":
        asyncio.set_event_loop(asyncio.new_event_loop())  # arq 0.25 asks for one, made or not
        cli.main(["over_arq.INBOX"])
    else:
        work.run_until_cancelled(_work(mode))


async def _work(mode: str) -> None:
    worker = Worker(**INBOX, handle_signals=False, burst=mode == "run_check")
    while True:
        # With a burst, it ends when its queue is empty, and begins anew.
        await getattr(worker, mode)()
        await asyncio.sleep(0.05)


async def _relay(work: Any) -> None:
    pool = pool_of(work)
    while True:
        await send(pool, work.due())
        await asyncio.sleep(0.1)


def pool_of(work: Any) -> ArqRedis:
    # With a timeout, redis 8 writes by wait_for: that of Python 3.11 may swallow what cancels.
    return ArqRedis.from_url(work.broker, socket_timeout=None)


async def send(pool: ArqRedis, messages: Iterable[Any]) -> None:
    for message in messages:
        await pool.enqueue_job(ACT, json.loads(message.body), _queue_name=message.channel)
