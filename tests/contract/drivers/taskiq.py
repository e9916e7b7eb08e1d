"""taskiq against Redis: a receiver's callback, called in the test's own loop."""

from __future__ import annotations

import asyncio

from contextlib import aclosing, asynccontextmanager

from taskiq import Context, TaskiqDepends
from taskiq.kicker import AsyncKicker
from taskiq.receiver import Receiver
from taskiq_redis import ListQueueBroker

from otelope.testing import Features, Got
from otelope.testing.driver import bridge, run_in_loop
from otelope.testing.messages import new_channel


SERVERS = ("redis_server",)
# What a task raises is its result's error.
STYLES = {"task": Features("redis", in_sender=True, asynchronous=True, raises=False)}


class Driver:
    run = staticmethod(run_in_loop)

    def __init__(self, style, address):
        self.address = address
        self.queue = new_channel()
        self.features = STYLES[style]
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {"task": channel, "labels": dict(headers), "order": 7, "body": body.decode()}

    async def send(self, *calls, positional=False):
        async with self._open() as broker:
            for call in calls:
                kicker = AsyncKicker(call["task"], broker, dict(call["labels"]))
                if positional:
                    await kicker.kiq(call["order"], call["body"])
                else:
                    await kicker.kiq(order=call["order"], body=call["body"])
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}.raw"
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        await self.send({**call, "order": object()})

    async def drive(self, handlers, start, count):
        handled = []
        async with self._open() as broker:
            for channel, handler in handlers.items():
                broker.register_task(self._act(handler, handled), task_name=channel)
            receiver = Receiver(broker, max_async_tasks=1)
            await start()
            if count:
                await asyncio.wait_for(self._work(broker, receiver, handled, count), 20)

    async def _work(self, broker, receiver, handled, count):
        async with aclosing(broker.listen()) as messages:
            async for message in messages:
                await receiver.callback(message)
                if len(handled) >= count:
                    return

    def _act(self, handler, handled):
        async def act(order: int, body: str, context: Context = TaskiqDepends()) -> None:  # noqa: B008
            handled.append(body)
            labels = {name: str(value) for name, value in context.message.labels.items()}
            await handler(Got(body, body.encode(), labels))

        return act

    @asynccontextmanager
    async def _open(self):
        broker = ListQueueBroker(self.address, queue_name=self.queue)
        try:
            yield broker
        finally:
            await broker.shutdown()
