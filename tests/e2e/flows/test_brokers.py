"""The broker port, by each of its adapters."""

from __future__ import annotations

import os
import signal
import socket

from collections.abc import Iterator
from uuid import uuid4

import pytest

from confluent_kafka.admin import AdminClient, NewTopic

from examples.flows.adapters import broker_of, create_channels, kafka
from examples.flows.adapters.kafka_log import KafkaLog
from examples.flows.adapters.rabbitmq import RabbitMQ
from examples.flows.ports import Broker, Keyed, Refused, Unavailable
from examples.running.servers import EmbeddedKafka


pytestmark = pytest.mark.slow

CHANNELS = [f"channel-{uuid4().hex}" for _ in range(2)]
SERVERS = [
    pytest.param(None, id="embedded kafka"),
    pytest.param("kafka_server", marks=pytest.mark.kafka, id="kafka"),
    pytest.param("rabbitmq_server", marks=pytest.mark.rabbitmq, id="rabbitmq"),
]


class HopelessError(Exception):
    pass


class CrashError(Exception):
    pass


@pytest.fixture(params=SERVERS)
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param is None:
        embedded = EmbeddedKafka(CHANNELS)
        url = f"kafka://{embedded.address}"
    else:
        address = request.getfixturevalue(request.param)
        url = address if address.startswith("amqp") else f"kafka://{address}"
    group = f"group-{uuid4().hex}"
    create_channels(url, CHANNELS, {group: CHANNELS})
    before = signal.getsignal(signal.SIGTERM)
    broker = broker_of(url, group)
    yield broker
    signal.signal(signal.SIGTERM, before)
    if isinstance(broker, RabbitMQ):
        # Otherwise it lasts until the process ends.
        broker._publisher.connection.close()


def test_what_is_not_handled_comes_again_and_what_is_hopeless_does_not(broker: Broker):
    # Before anybody consumes.
    bodies = [str(number).encode() for number in range(50)]
    for channel in CHANNELS:
        broker.publish(channel, [Keyed("key", body) for body in bodies])

    seen: list[bytes] = []

    def handle(body: bytes) -> None:
        seen.append(body)
        if body == b"7" and seen.count(b"7") == 1:
            raise HopelessError
        if body == b"20" and seen.count(b"20") == 1:
            raise CrashError
        if len(seen) == 2 * len(bodies) + 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(CrashError):
        broker.consume(CHANNELS, handle, hopeless=(HopelessError,))
    broker.consume(CHANNELS, handle, hopeless=(HopelessError,))
    assert sorted(seen) == sorted([*bodies, *bodies, b"20"])
    # In order within a channel, so in the one that is ahead.
    first = [body for number, body in enumerate(seen) if body not in seen[:number]]
    assert first == bodies


@pytest.mark.parametrize("url", ["amqp://guest:guest@127.0.0.1:1/", "kafka://127.0.0.1:1"])
def test_a_broker_that_does_not_answer_is_unavailable(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kafka, "_SECONDS_TO_PUBLISH", 1)
    broker = broker_of(url, "group")
    # More than librdkafka queues.
    with pytest.raises(Unavailable):
        broker.publish("channel", [Keyed("key", b"")] * 100_001)
    if isinstance(broker, kafka.Kafka):
        assert broker._producer.flush(0.1) == 0, "left to arrive later"
    with pytest.raises(Unavailable):
        broker.publish("channel", [Keyed("key", b"")])


def test_what_a_kafka_never_takes_is_refused_and_the_next_is_not():
    embedded = EmbeddedKafka(CHANNELS)
    broker = broker_of(f"kafka://{embedded.address}", "group")
    with pytest.raises(Refused, match=r"^large: .*MSG_SIZE_TOO_LARGE"):
        broker.publish(CHANNELS[0], [Keyed("large", b"x" * 2_000_000)])
    broker.publish(CHANNELS[0], [Keyed("small", b"x")])
    assert KafkaLog(embedded.address).replay(CHANNELS) == [b"x"]


@pytest.mark.kafka
def test_what_only_the_server_finds_too_large_is_refused(kafka_server: str):
    topic = NewTopic(f"narrow-{uuid4().hex}", 1, 1, config={"max.message.bytes": "1000"})
    admin = AdminClient({"bootstrap.servers": kafka_server})
    admin.create_topics([topic])[topic.topic].result(30)
    broker = broker_of(f"kafka://{kafka_server}", "group")
    with pytest.raises(Refused, match=r"^large: "):
        broker.publish(topic.topic, [Keyed("large", b"x" * 2000)])
    broker.publish(topic.topic, [Keyed("small", b"x")])
    assert KafkaLog(kafka_server).replay([topic.topic]) == [b"x"]


@pytest.mark.rabbitmq
def test_a_connection_that_the_server_closed_meanwhile_is_opened_again(rabbitmq_server: str):
    create_channels(rabbitmq_server, CHANNELS, {})
    broker = broker_of(rabbitmq_server, "group")
    assert isinstance(broker, RabbitMQ)
    broker.publish(CHANNELS[0], [Keyed("key", b"")])
    first = broker._publisher.connection
    with pytest.raises(Unavailable):
        # The server answers to this by closing the channel, but not the connection.
        broker.publish(f"none-{uuid4().hex}", [Keyed("key", b"")])
    assert first.is_closed
    broker.publish(CHANNELS[0], [Keyed("key", b"")])
    # As after two heartbeats that nobody answered.
    broker._publisher.connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)
    broker.publish(CHANNELS[0], [Keyed("key", b"")])
    broker._publisher.connection.close()
