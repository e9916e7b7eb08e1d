"""confluent-kafka against any Kafka: `poll`, `consume`, with (de)serializers, and in asyncio."""

from __future__ import annotations

import asyncio
import importlib.util
import time

from dataclasses import replace

import confluent_kafka

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge, run_in_loop
from tests.contract.topics import make_topics


SERVERS = ("kafka_mock", "kafka_server")
_ONE = Features("kafka", polled=True, in_sender=True)
STYLES = {
    "poll": _ONE,
    "consume one": _ONE,
    "consume many": replace(_ONE, batch=500),
    "serializing": _ONE,
}
# With the blocking producer: its own takes no headers (test_kafka.py).
if importlib.util.find_spec("confluent_kafka.aio"):
    STYLES |= {"aio poll": _ONE, "aio consume": replace(_ONE, batch=500)}


class Driver:
    def __init__(self, style, address):
        self.style = style
        self.settings = {"bootstrap.servers": address, "log_level": 2}
        self.features = STYLES[style]
        self.between = lambda: None
        self.producer = None
        self.under_way = 0
        self.run = run_in_loop if style.startswith("aio") else run_inline

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {
            "topic": channel,
            "value": body,
            "partition": 0,
            "headers": [(name, value.encode()) for name, value in headers.items()],
        }

    async def send(self, *calls, positional=False):
        producer = self._producer()
        for call in calls:
            topic, value, _, headers = call.values()
            if not positional:
                producer.produce(**call)
            elif self.style == "serializing":  # … partition, on_delivery, timestamp, headers
                producer.produce(topic, None, value, 0, None, 0, headers)
            else:  # key, partition, callback, on_delivery, timestamp, headers
                producer.produce(topic, value, None, 0, None, None, 0, headers)
        assert producer.flush(10) == 0
        self.under_way += len(calls)
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}.raw"
        make_topics(self.settings["bootstrap.servers"], [raw])
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        self._producer().produce(**{**call, "partition": "none"})

    async def drive(self, handlers, start, count):
        make_topics(self.settings["bootstrap.servers"], handlers)
        if self.style.startswith("aio"):
            await self._drive_in_loop(handlers, start, count)
            return
        await start()
        # Not before: what is there is fetched at once, as one batch. And assigned as it is made:
        # librdkafka asks for a consumer's topics when it connects, else once in a second.
        consumer = self._consumer()
        try:
            consumer.assign([confluent_kafka.TopicPartition(name, 0, 0) for name in handlers])
            deadline = time.monotonic() + 20
            while count > 0:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{count} messages did not come")
                for message in self._received(consumer, count):
                    count -= 1
                    self.under_way -= 1
                    await handlers[message.topic()](_got(message))
        finally:
            consumer.close()

    async def _drive_in_loop(self, handlers, start, count):
        from confluent_kafka.aio import AIOConsumer

        await start()
        consumer = AIOConsumer(self._consuming())
        try:
            await consumer.assign([confluent_kafka.TopicPartition(n, 0, 0) for n in handlers])
            # Not wait_for: it handles the messages in a task of its own.
            timer = asyncio.get_running_loop().call_later(
                20, asyncio.current_task().cancel, "no message came"
            )
            while count > 0:
                many = self.style == "aio consume"
                got = await (consumer.consume(self._due(count), 0.2) if many else consumer.poll(1))
                for message in got if many else [got]:
                    if message is not None and message.error() is None:
                        count -= 1
                        self.under_way -= 1
                        await handlers[message.topic()](_got(message))
            timer.cancel()
        finally:
            await consumer.close()

    def _received(self, consumer, count):
        if self.style.startswith("consume"):
            return consumer.consume(self._due(count) if self.style == "consume many" else 1, 0.2)
        message = consumer.poll(1)
        return [message] if message is not None and message.error() is None else []

    def _due(self, count):
        """How many can come now: for more, `consume` waits as long as it may."""
        return min(count, self.under_way) if self.under_way > 0 else count

    def _producer(self):
        if self.producer is None:
            made = confluent_kafka.Producer
            if self.style == "serializing":
                made = imported("serializing_producer").SerializingProducer
            self.producer = made({**self.settings, "linger.ms": 0})
        return self.producer

    def _consumer(self):
        made = confluent_kafka.Consumer
        if self.style == "serializing":
            made = imported("deserializing_consumer").DeserializingConsumer
        return made(self._consuming())

    def _consuming(self):
        # The mock cluster answers an empty fetch at its end only.
        return {
            **self.settings,
            "group.id": "contract",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 10,
            "fetch.error.backoff.ms": 10,
        }


def _got(message):
    headers = dict(message.headers() or ())
    texts = {name: value.decode() for name, value in headers.items()}
    return Got(message, message.value(), texts)


def imported(name):
    """A module of confluent_kafka as an application imports it that otelope has prepared."""
    spec = importlib.util.find_spec(f"confluent_kafka.{name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
