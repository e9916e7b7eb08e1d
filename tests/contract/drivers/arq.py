"""arq against Redis: jobs of a worker in the test's own loop."""

from __future__ import annotations

import asyncio
import itertools

from contextlib import asynccontextmanager
from uuid import uuid4

from arq import ArqRedis, Worker, create_pool, func
from arq.connections import RedisSettings

from otelope.testing import Features, Got
from otelope.testing.driver import bridge, run_in_loop


SERVERS = ("redis_server",)
# What a job raises is kept as its result.
_CLOSE = "aclose" if hasattr(ArqRedis, "aclose") else "close"  # renamed in redis 5.0.1
_numbers = itertools.count()
STYLES = {"worker": Features("redis", asynchronous=True, raises=False, headers=False)}


class Driver:
    run = staticmethod(run_in_loop)

    def __init__(self, style, address):
        self.settings = RedisSettings.from_dsn(address)
        self.features = STYLES[style]
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {"function": "act", "order": 7, "body": body, "_queue_name": channel}

    async def send(self, *calls, positional=False):
        async with self._open() as pool:
            for call in calls:
                # Of those enqueued in one millisecond, arq takes the one of the least id first.
                named = {**call, "_job_id": f"{next(_numbers):09}-{uuid4()}"}
                if positional:
                    first = [named.pop(name) for name in ("function", "order", "body")]
                    await pool.enqueue_job(*first, **named)
                else:
                    await pool.enqueue_job(**named)
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}.raw"
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        async with self._open() as pool:
            await pool.enqueue_job(**call, what=lambda: "nothing that pickles")

    async def drive(self, handlers, start, count):
        await start()
        if not count:
            return
        handled = asyncio.Semaphore(0)
        workers = [self._worker(*each, handled) for each in handlers.items()]
        working = [asyncio.ensure_future(worker.async_run()) for worker in workers]
        try:
            for _ in range(count):
                await asyncio.wait_for(handled.acquire(), 20)
        finally:
            for worker, task in zip(workers, working, strict=True):
                await self._stop(worker, task)

    def _worker(self, channel, handler, handled):
        async def act(_, order, body):
            try:
                await handler(Got(body, body, {}))
            finally:
                handled.release()

        return Worker(
            [func(act, name="act")],
            queue_name=channel,
            redis_settings=self.settings,
            poll_delay=0.01,
            max_jobs=1,
            keep_result=0,
            handle_signals=False,
        )

    async def _stop(self, worker, task):
        # It finishes what it handles, and takes nothing more.
        worker.burst, worker.max_burst_jobs = True, 0
        await task
        await getattr(worker.pool, _CLOSE)()

    @asynccontextmanager
    async def _open(self):
        pool = await create_pool(self.settings)
        try:
            yield pool
        finally:
            await getattr(pool, _CLOSE)()
