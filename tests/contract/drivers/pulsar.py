"""pulsar-client against what stands in for Pulsar: each way to send and to receive."""

from __future__ import annotations

import asyncio
import queue
import time

from contextlib import suppress
from dataclasses import replace

import pulsar

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge, run_in_loop


SERVERS = ("pulsar_server",)
_PULLED = Features("pulsar", polled=True, in_sender=True, redelivers=True)
STYLES = {
    "receive": _PULLED,
    "send_async": _PULLED,
    "batch_receive": replace(_PULLED, batch=500),
    # What a listener raises is told to nobody.
    "listener": Features("pulsar", raises=False),
    "reader": replace(_PULLED, forgets=True),
}
# Its producer has properties, and it has consumers, since then.
if [*map(int, pulsar.__version__.split(".")[:2])] >= [3, 9]:
    STYLES["asyncio"] = replace(_PULLED, asynchronous=True, in_sender=False)
_SOON_MS = 10
_SHARED = {
    "consumer_type": pulsar.ConsumerType.Shared,
    "initial_position": pulsar.InitialPosition.Earliest,
    "negative_ack_redelivery_delay_ms": _SOON_MS,
}
_QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)


class Driver:
    def __new__(cls, style, address):
        return object.__new__(Asynchronous if style == "asyncio" else Synchronous)

    def __init__(self, style, address):
        self.style = style
        self.features = STYLES[style]
        self.address = address
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {"topic": channel, "content": body, "properties": dict(headers) or None}

    async def send_bare(self, channel, body):
        await self.send(self.call(f"{channel}-raw", body, {}))
        await bridge(self.bridge(), f"{channel}-raw", channel)
        self.between()


class Synchronous(Driver):
    run = staticmethod(run_inline)

    def bridge(self):
        # Not by a listener: nothing is suppressed in its thread.
        return Driver("receive", self.address)

    async def send(self, *calls, positional=False):
        client = connected(self.address)
        for call in calls:
            producer = client.create_producer(call["topic"])
            self._send(producer, call, positional=positional)
        client.close()
        self.between()

    def _send(self, producer, call, *, positional=False):
        _, content, properties = call.values()
        if self.style == "send_async":
            told = queue.SimpleQueue()

            def callback(result, id_):
                told.put(result)

            if positional:
                producer.send_async(content, callback, properties)
            else:
                producer.send_async(content=content, callback=callback, properties=properties)
            assert told.get(timeout=10) == pulsar.Result.Ok
        elif positional:
            producer.send(content, properties)
        else:
            producer.send(content=content, properties=properties)

    async def send_in_vain(self, call):
        client = connected(self.address)
        producer = client.create_producer(call.pop("topic"))
        if self.style == "send_async":
            producer.send_async(callback=print, partition_key=7, **call)
        else:
            producer.close()
            producer.send(**call)

    async def drive(self, handlers, start, count):
        client = connected(self.address)
        try:
            receive = self._listened if self.style == "listener" else self._received
            await receive(client, handlers, start, count)
        finally:
            client.close()

    async def _listened(self, client, handlers, start, count):
        handled = queue.SimpleQueue()

        def listener(consumer, message):
            try:
                run_inline(handlers[_channel(message)](_got(message)))
                consumer.acknowledge(message)
            finally:
                handled.put(message)

        for channel in handlers:
            client.subscribe(channel, "workers", message_listener=listener, **_SHARED)
        await start()
        for _ in range(count):
            handled.get(timeout=20)

    async def _received(self, client, handlers, start, count):
        batches = pulsar.ConsumerBatchReceivePolicy(self.features.batch, -1, 50)
        if self.style == "reader":
            first = pulsar.MessageId.earliest
            readers = [client.create_reader(channel, first) for channel in handlers]
            consumers = []
        else:
            readers = []
            consumers = [
                client.subscribe(channel, "workers", batch_receive_policy=batches, **_SHARED)
                for channel in handlers
            ]
        await start()
        deadline = time.monotonic() + 20
        while count > 0:
            for each in readers + consumers:
                for message in self._next(each):
                    count -= 1
                    await self._handle(each, message, handlers)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} messages did not come")

    def _next(self, by):
        with suppress(pulsar.Timeout):
            if self.style == "reader":
                return [by.read_next(20)]
            return by.batch_receive() if self.features.batch > 1 else [by.receive(20)]
        return []

    async def _handle(self, by, message, handlers):
        try:
            await handlers[_channel(message)](_got(message))
        except BaseException:
            if self.style != "reader":
                by.negative_acknowledge(message)
            raise
        if self.style != "reader":
            by.acknowledge(message)


class Asynchronous(Driver):
    run = staticmethod(run_in_loop)

    def bridge(self):
        return Driver("asyncio", self.address)

    async def send(self, *calls, positional=False):
        client = await self._connected()
        try:
            for call in calls:
                topic, content, properties = call.values()
                producer = await client.create_producer(topic)
                if positional:
                    await producer.send(content, properties)
                else:
                    await producer.send(content=content, properties=properties)
        finally:
            await client.close()
        self.between()

    async def send_in_vain(self, call):
        client = await self._connected()
        producer = await client.create_producer(call.pop("topic"))
        await producer.close()
        await producer.send(**call)

    async def drive(self, handlers, start, count):
        client = await self._connected()
        try:
            consumers = [await client.subscribe(name, "workers", **_SHARED) for name in handlers]
            await start()
            # Not wait_for: it handles the messages in a task of its own.
            timer = asyncio.get_running_loop().call_later(
                20, asyncio.current_task().cancel, "no message came"
            )
            await self._receive(consumers, handlers, count)
            timer.cancel()
        finally:
            await client.close()

    async def _receive(self, consumers, handlers, count):
        left = asyncio.Semaphore(0)

        async def work(consumer):
            while True:
                message = await consumer.receive()
                try:
                    await handlers[_channel(message)](_got(message))
                except BaseException:
                    await consumer.negative_acknowledge(message)
                    raise
                await consumer.acknowledge(message)
                left.release()

        async def counted():
            for _ in range(count):
                await left.acquire()

        tasks = [asyncio.ensure_future(each) for each in (counted(), *map(work, consumers))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    async def _connected(self):
        from pulsar.asyncio import Client

        return Client(self.address, logger=_QUIET)


def connected(address):
    return pulsar.Client(address, logger=_QUIET)


def _channel(message):
    return message.topic_name().rpartition("/")[2]


def _got(message):
    return Got(message, message.data(), message.properties())
