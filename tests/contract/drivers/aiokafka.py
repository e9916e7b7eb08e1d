"""aiokafka against any Kafka: `send` and `send_batch`; `getone`, `async for`, `getmany`."""

from __future__ import annotations

import asyncio

from contextlib import asynccontextmanager
from dataclasses import replace

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from otelope.testing import Features, Got
from otelope.testing.driver import bridge, run_in_loop
from tests.contract.topics import make_topics


SERVERS = ("kafka_mock", "kafka_server")
_ONE = Features("kafka", polled=True, in_sender=True, asynchronous=True)
STYLES = {
    "getone": _ONE,
    "async for": _ONE,
    "getmany": replace(_ONE, batch=500),
    "send_batch": _ONE,
}


class Driver:
    run = staticmethod(run_in_loop)

    def __init__(self, style, address):
        self.style = style
        self.address = address
        self.features = STYLES[style]
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        pairs = [(name, value.encode()) for name, value in headers.items()]
        return {"topic": channel, "value": body, "partition": 0, "headers": pairs}

    async def send(self, *calls, positional=False):
        async with self._producer() as producer:
            sent = []
            for call in calls:
                topic, value, _, headers = call.values()
                if self.style == "send_batch":
                    sent.append(await self._send_batch(producer, call, positional=positional))
                elif positional:  # topic, value, key, partition, timestamp_ms, headers
                    sent.append(await producer.send(topic, value, None, 0, None, headers))
                else:
                    sent.append(await producer.send(**call))
            await asyncio.gather(*sent)
        self.between()

    async def _send_batch(self, producer, call, *, positional=False):
        topic, value, partition, headers = call.values()
        batch = producer.create_batch()
        added = batch.append(key=None, value=value, timestamp=None, headers=headers)
        assert added is not None
        if positional:
            return await producer.send_batch(batch, topic, partition=partition)
        return await producer.send_batch(batch=batch, topic=topic, partition=partition)

    async def send_bare(self, channel, body):
        raw = f"{channel}.raw"
        make_topics(self.address, [raw])
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        async with self._producer() as producer:
            if self.style == "send_batch":
                await self._send_batch(producer, {**call, "partition": 99})
            else:
                await producer.send(**{**call, "partition": 99})

    async def drive(self, handlers, start, count):
        make_topics(self.address, handlers)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=10,
            retry_backoff_ms=5,
        )
        await consumer.start()
        try:
            await start()
            # Not before: what is there is fetched at once, as one batch.
            consumer.assign([TopicPartition(channel, 0) for channel in handlers])
            # Not wait_for: it handles the messages in a task of its own.
            task = asyncio.current_task()
            timer = asyncio.get_running_loop().call_later(20, task.cancel, "no message came")
            await self._consume(consumer, handlers, count)
            timer.cancel()
        finally:
            await consumer.stop()

    async def _consume(self, consumer, handlers, count):
        while count > 0:
            for message in await self._received(consumer):
                headers = {name: value.decode() for name, value in message.headers}
                await handlers[message.topic](Got(message, message.value, headers))
                count -= 1

    @asynccontextmanager
    async def _producer(self):
        producer = AIOKafkaProducer(
            bootstrap_servers=self.address,
            retry_backoff_ms=5,
            max_batch_size=1_000_000,  # the mock cluster answers a fetch with one batch
        )
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def _received(self, consumer):
        if self.style in ("getone", "send_batch"):
            return [await consumer.getone()]
        if self.style == "async for":
            async for message in consumer:
                return [message]
        batches = await consumer.getmany(timeout_ms=1000)
        return [message for messages in batches.values() for message in messages]
