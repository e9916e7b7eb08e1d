"""confluent-kafka against any Kafka: `poll`, `consume`, and both with (de)serializers."""

from __future__ import annotations

import importlib.util
import time

from dataclasses import replace

import confluent_kafka

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge


SERVERS = ("kafka_mock", "kafka_server")
_ONE = Features("kafka", polled=True, in_sender=True)
STYLES = {
    "poll": _ONE,
    "consume one": _ONE,
    "consume many": replace(_ONE, batch=500),
    "serializing": _ONE,
}


class Driver:
    def __init__(self, style, address):
        self.style = style
        self.settings = {"bootstrap.servers": address, "log_level": 2}
        self.features = STYLES[style]
        self.between = lambda: None
        self.producer = None

    run = staticmethod(run_inline)

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
        self.between()

    async def send_bare(self, channel, body):
        await self.send(self.call(f"{channel}.raw", body, {}))
        await bridge(self, f"{channel}.raw", channel)
        self.between()

    async def send_in_vain(self, call):
        self._producer().produce(**{**call, "partition": "none"})

    async def drive(self, handlers, start, count):
        for channel in handlers:
            self._producer().list_topics(channel, timeout=10)  # makes the topic
        consumer = self._consumer()
        try:
            await start()
            # Not before: what is there is fetched at once, as one batch.
            consumer.assign([confluent_kafka.TopicPartition(name, 0, 0) for name in handlers])
            deadline = time.monotonic() + 20
            while count > 0:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{count} messages did not come")
                for message in self._received(consumer, count):
                    count -= 1
                    headers = dict(message.headers() or ())
                    texts = {name: value.decode() for name, value in headers.items()}
                    await handlers[message.topic()](Got(message, message.value(), texts))
        finally:
            consumer.close()

    def _received(self, consumer, count):
        if self.style.startswith("consume"):
            return consumer.consume(count if self.style == "consume many" else 1, 0.2)
        message = consumer.poll(1)
        return [message] if message is not None and message.error() is None else []

    def _producer(self):
        if self.producer is None:
            made = confluent_kafka.Producer
            if self.style == "serializing":
                made = _imported("serializing_producer").SerializingProducer
            self.producer = made({**self.settings, "linger.ms": 0})
        return self.producer

    def _consumer(self):
        made = confluent_kafka.Consumer
        if self.style == "serializing":
            made = _imported("deserializing_consumer").DeserializingConsumer
        # The mock cluster answers an empty fetch at its end only.
        return made(
            {
                **self.settings,
                "group.id": "contract",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 10,
                "fetch.error.backoff.ms": 10,
            }
        )


def _imported(name):
    """A module of confluent_kafka as an application imports it that otelope has prepared."""
    spec = importlib.util.find_spec(f"confluent_kafka.{name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
