"""RQ against Redis: jobs one by one and many at once, performed where the test runs."""

from __future__ import annotations

import time

from redis import Redis
from rq import Queue, get_current_job

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge


SERVERS = ("redis_server",)
_CALLED = Features("redis", in_sender=True, forgets=True)
STYLES = {"call": _CALLED, "many": _CALLED}
# By queue: a job says its function by the name that it is imported by.
_handlers = {}


def act(_, body):
    job = get_current_job()
    headers = {name: value for name, value in job.meta.items() if isinstance(value, str)}
    run_inline(_handlers[job.origin](Got(job, body, headers)))


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address):
        self.style = style
        self.address = address
        self.features = STYLES[style]
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {
            "queue": channel,
            "func": f"{__name__}.act",
            "args": (7, body),
            "meta": dict(headers) or None,
        }

    async def send(self, *calls, positional=False):
        with Redis.from_url(self.address) as connection:
            for call in calls:
                self._send(connection, positional=positional, **call)
        self.between()

    def _send(self, connection, *, queue, func, args, meta, positional=False):
        to = Queue(queue, connection=connection)
        if self.style == "many":
            batch = (Queue.prepare_data(func, args, meta=meta) for _ in range(1))
            to.enqueue_many(batch) if positional else to.enqueue_many(job_datas=batch)
        elif positional:
            to.enqueue_call(func, args, meta=meta)
        else:
            to.enqueue_call(func=func, args=args, meta=meta)

    async def send_bare(self, channel, body):
        raw = f"{channel}.raw"
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        await self.send({**call, "args": (*call["args"], lambda: "nothing that pickles")})

    async def drive(self, handlers, start, count):
        _handlers.update(handlers)
        try:
            with Redis.from_url(self.address) as connection:
                await start()
                self._work(connection, handlers, count)
        finally:
            for name in handlers:
                del _handlers[name]

    def _work(self, connection, handlers, count):
        queues = [Queue(name, connection=connection) for name in handlers]
        deadline = time.monotonic() + 20
        while count:
            found = Queue.dequeue_any(queues, None, connection=connection)
            if found is not None:
                found[0].perform()
                count -= 1
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} jobs did not come")
