"""The chain over google-cloud-pubsub: a `callback`, with or without ordering keys, or `pull`."""

from __future__ import annotations

import os
import time

from collections.abc import Iterable
from typing import Any

from google.cloud import pubsub_v1


PROJECT = "projects/otelope"


def run(work: Any, mode: str) -> None:
    os.environ["PUBSUB_EMULATOR_HOST"] = work.broker
    key = {"ordering_key": "order 7"} if mode.endswith("ordered") else {}
    publisher = pubsub_v1.PublisherClient(
        pubsub_v1.types.BatchSettings(max_latency=0.01),
        pubsub_v1.types.PublisherOptions(enable_message_ordering=bool(key)),
    )

    def send(messages: Iterable[Any]) -> None:
        # They are sent by another thread, together.
        sent = [publisher.publish(topic(each.channel), each.body, **key) for each in messages]
        for each in sent:
            each.result(30)

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    if not work.relays:
        with pubsub_v1.SubscriberClient() as subscriber:
            receive = _pulled if mode == "pull" else _called_back
            receive(work, subscriber, lambda body: send(work.react(body)))
    publisher.stop()


def topic(channel: str) -> str:
    return f"{PROJECT}/topics/{channel}"


def subscription(channel: str) -> str:
    return f"{PROJECT}/subscriptions/{channel}"


def _called_back(work: Any, subscriber: Any, handle: Any) -> None:
    def callback(message: Any) -> None:
        handle(message.data)
        message.ack()

    receiving = subscriber.subscribe(
        subscription(work.inbox), callback, await_callbacks_on_shutdown=True
    )
    while not work.stopped:
        time.sleep(0.1)
    receiving.cancel()
    receiving.result(30)


def _pulled(work: Any, subscriber: Any, handle: Any) -> None:
    at = {"subscription": subscription(work.inbox)}
    while not work.stopped:
        for received in subscriber.pull(**at, max_messages=10).received_messages:
            handle(received.message.data)
            subscriber.acknowledge(request={**at, "ack_ids": [received.ack_id]})
