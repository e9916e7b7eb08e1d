"""The broker port, by each of its adapters."""

from __future__ import annotations

import os
import signal
import threading
import time

from collections.abc import Iterator
from uuid import uuid4

import pytest

from examples.flows.adapters import broker_of, create_channels
from examples.flows.adapters.rabbitmq import RabbitMQ
from examples.flows.ports import Broker, Keyed, Unavailable
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
        create_channels(url, CHANNELS)
    before = signal.getsignal(signal.SIGTERM)
    broker = broker_of(url, f"group-{uuid4().hex}")
    yield broker
    signal.signal(signal.SIGTERM, before)
    if isinstance(broker, RabbitMQ):
        # Otherwise it lasts until the process ends.
        broker._publisher.connection.close()


def test_what_is_not_handled_comes_again_and_what_is_hopeless_does_not(broker: Broker):
    # From now on the group gets what is published.
    asked_to_end = threading.Thread(target=_ask_to_end)
    asked_to_end.start()
    broker.consume(CHANNELS, lambda _: None)
    asked_to_end.join()

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


def test_a_broker_that_does_not_answer_is_unavailable():
    with pytest.raises(Unavailable):
        broker_of("amqp://guest:guest@127.0.0.1:1/", "group").publish("c", [Keyed("k", b"")])


def _ask_to_end() -> None:
    ours = signal.getsignal(signal.SIGTERM)
    while signal.getsignal(signal.SIGTERM) is ours:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
