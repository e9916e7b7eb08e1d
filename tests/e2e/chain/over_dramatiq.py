"""The chain over dramatiq: actors that are sent to, in threads of its worker."""

from __future__ import annotations

import json
import time

from collections.abc import Iterable
from typing import Any

from dramatiq import Actor, Message, Worker


def run(work: Any, _: str) -> None:
    broker = broker_of(work.broker)

    def send(messages: Iterable[Any]) -> None:
        for message in messages:
            name = queue_of(message.channel)
            broker.enqueue(Message(name, name, (json.loads(message.body),), {}, {}))

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    if work.relays:
        return

    def act(body: dict[str, Any]) -> None:
        send(work.react(json.dumps(body).encode()))

    inbox = queue_of(work.inbox)
    Actor(act, broker=broker, actor_name=inbox, queue_name=inbox, priority=0, options={})
    # Else of every queue that it sends to, too.
    worker = Worker(broker, queues={inbox}, worker_timeout=100, worker_threads=2)
    worker.start()
    while not work.stopped:
        time.sleep(0.05)
    worker.stop()
    broker.close()


def queue_of(channel: str) -> str:
    return channel.replace(".", "_")  # which names of queues may not have


def broker_of(address: str) -> Any:
    if address.startswith("redis:"):
        from dramatiq.brokers.redis import RedisBroker

        return RedisBroker(url=address)
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    return RabbitmqBroker(url=address)
