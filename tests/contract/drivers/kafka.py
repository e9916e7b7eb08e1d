"""kafka-python against Apache Kafka: iteration, `poll`, and that with (de)serializers."""

from __future__ import annotations

import time

from contextlib import closing, contextmanager
from dataclasses import replace

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.cluster import ClusterMetadata
from kafka.serializer import Deserializer, Serializer

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge
from tests.contract.topics import make_topics


# kafka-python 3.0 does not pass its `retry_backoff_ms` on: to know a topic took 0.1 s.
ClusterMetadata.DEFAULT_CONFIG["retry_backoff_ms"] = 5

# librdkafka's mock cluster lacks what this client asks a broker first.
SERVERS = ("kafka_server",)
_ONE = Features("kafka", polled=True, in_sender=True)
# With serializers one at a time, by `poll`.
STYLES = {"iteration": _ONE, "poll": replace(_ONE, batch=500), "serializers": _ONE}


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address):
        self.style = style
        self.address = address
        self.serializer = TEXT if style == "serializers" else None
        self.features = STYLES[style]
        self.between = lambda: None
        self.producer = None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {
            "topic": channel,
            "value": body.decode() if self.style == "serializers" else body,
            "partition": 0,
            "headers": [(name, value.encode()) for name, value in headers.items()],
        }

    async def send(self, *calls, positional=False):
        with self._producing() as producer:
            sent = []
            for call in calls:
                topic, value, partition, headers = call.values()
                if positional:  # topic, value, key, headers, partition
                    sent.append(producer.send(topic, value, None, headers, partition))
                else:
                    sent.append(producer.send(**call))
            for each in sent:
                each.get(10)
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}.raw"
        make_topics(self.address, [raw])
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        with self._producing() as producer:
            producer.send(**{**call, "partition": 99})

    async def drive(self, handlers, start, count):
        make_topics(self.address, handlers)
        with self._producing():
            await start()
            if count:
                # Not before: what is there is fetched at once, as one batch.
                await self._consume(handlers, count)

    async def _consume(self, handlers, count):
        deadline = time.monotonic() + 20
        with closing(self._consumer()) as consumer:
            consumer.assign([TopicPartition(channel, 0) for channel in handlers])
            for record in self._received(consumer):
                if record is not None:
                    await handlers[record.topic](_got(record))
                    count -= 1
                    if not count:
                        return
                if time.monotonic() > deadline:
                    break
        raise TimeoutError(f"{count} messages did not come")

    def _received(self, consumer):
        if self.style == "iteration":
            # Not `yield from`: that closes the consumer, before its handler's error is known.
            for record in consumer:  # noqa: UP028
                yield record
        limit = 1 if self.style == "serializers" else None
        while True:
            batches = consumer.poll(1000, limit)
            yield None
            for records in batches.values():
                yield from records

    @contextmanager
    def _producing(self):
        """One producer for all that is sent meanwhile: a new one has to know its topics first."""
        if self.producer is not None:
            yield self.producer
            return
        made = KafkaProducer(
            bootstrap_servers=self.address,
            # A new topic may have no leader yet; before 2.2 the default is not to try again.
            retries=20,
            max_in_flight_requests_per_connection=1,
            retry_backoff_ms=5,
            value_serializer=self.serializer,
        )
        self.producer = made
        with closing(made):
            try:
                yield made
            finally:
                self.producer = None

    def _consumer(self):
        return KafkaConsumer(
            bootstrap_servers=self.address,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=10,
            retry_backoff_ms=5,
            consumer_timeout_ms=20_000,
            value_deserializer=self.serializer,
        )


class Text(Serializer, Deserializer):
    """Text to bytes and back; since kafka-python 3 the headers stand before the value."""

    def serialize(self, *given):
        return given[-1].encode()

    def deserialize(self, *given):
        return given[-1].decode()


TEXT = Text()


def _got(record):
    value = record.value
    headers = {name: value.decode() for name, value in record.headers}
    return Got(record, value.encode() if isinstance(value, str) else value, headers)
