"""aio-pika against RabbitMQ: a callback, an iterator, `get`, and `message.process()` in them."""

from __future__ import annotations

import asyncio

from contextlib import asynccontextmanager
from dataclasses import replace

from aio_pika import Message, connect, connect_robust

from otelope.testing import Features, Got
from otelope.testing.driver import bridge, run_in_loop


SERVERS = ("rabbitmq_server",)
_PULLED = Features("rabbitmq", polled=True, in_sender=True, asynchronous=True, redelivers=True)
# aio-pika runs it in a task of its own, whose exception nobody hears of.
_CALLED = replace(_PULLED, polled=False, in_sender=False, raises=False)
STYLES = {
    "callback": _CALLED,
    "callback process": _CALLED,
    "iterator": _PULLED,
    "iterator process": _PULLED,
    "robust iterator": _PULLED,
    "get": _PULLED,
    "get process": _PULLED,
}


class Driver:
    run = staticmethod(run_in_loop)

    def __init__(self, style, address):
        self.style = style.removesuffix(" process")
        self.processes = style != self.style
        self.address = address
        self.features = STYLES[style]
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {"message": Message(body, headers=dict(headers)), "routing_key": channel}

    async def send(self, *calls, positional=False):
        async with self._open() as channel:
            publish = channel.default_exchange.publish
            for call in calls:
                if positional:  # message, routing_key
                    await publish(*call.values())
                else:
                    await publish(**call)
        self.between()

    async def send_bare(self, channel, body):
        async with self._open() as open_channel:
            await self._declare(open_channel, f"{channel}.raw")
        await self.send(self.call(f"{channel}.raw", body, {}))
        await bridge(self, f"{channel}.raw", channel)
        self.between()

    async def send_in_vain(self, call):
        async with self._open() as channel:
            exchange = await channel.get_exchange("nowhere", ensure=False)
            await exchange.publish(**call)

    async def drive(self, handlers, start, count):
        async with self._open() as channel:
            queues = [await self._declare(channel, name) for name in handlers]
            await start()
            if count:
                # Not wait_for: it handles the messages in a task of its own.
                task = asyncio.current_task()
                timer = asyncio.get_running_loop().call_later(20, task.cancel, "no message came")
                try:
                    await getattr(self, f"_{self.style.replace(' ', '_')}")(
                        queues, handlers, count
                    )
                finally:
                    timer.cancel()

    async def _callback(self, queues, handlers, count):
        handled = asyncio.Semaphore(0)

        async def received(message):
            try:
                await self._handle(message, handlers)
            finally:
                handled.release()

        for queue in queues:
            await queue.consume(received)
        for _ in range(count):
            await handled.acquire()

    async def _iterator(self, queues, handlers, count):
        # Each channel gets as many messages as the others, one channel after the other.
        for queue in queues:
            left = count // len(queues)
            async with queue.iterator() as messages:
                async for message in messages:
                    await self._handle(message, handlers)
                    left -= 1
                    if not left:
                        break

    _robust_iterator = _iterator

    async def _get(self, queues, handlers, count):
        while count:
            for queue in queues:
                message = await queue.get(fail=False)
                if message is not None:
                    await self._handle(message, handlers)
                    count -= 1

    async def _handle(self, message, handlers):
        handle = handlers[message.routing_key]
        got = Got(message, message.body, message.headers)
        if self.processes:
            async with message.process(requeue=self.features.raises):
                await handle(got)
        else:
            try:
                await handle(got)
            except BaseException:
                if self.style == "get":
                    await message.nack()
                raise
            await message.ack()

    async def _declare(self, channel, queue):
        return await channel.declare_queue(queue, arguments={"x-expires": 60_000})

    @asynccontextmanager
    async def _open(self):
        opened = connect_robust if self.style.startswith("robust") else connect
        async with await opened(self.address) as connection:
            channel = await connection.channel()
            # Callbacks of one channel run beside each other.
            await channel.set_qos(prefetch_count=1)
            yield channel
