"""The chain over kombu: a callback, `on_message`, `SimpleQueue` or `Queue.get`."""

from __future__ import annotations

import json
import time

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from kombu import Connection, Consumer, Queue
from kombu.simple import SimpleQueue


def run(work: Any, mode: str) -> None:
    with Connection(work.broker) as connection:
        producer = connection.Producer()

        def send(messages: Iterable[Any]) -> None:
            for message in messages:
                producer.publish(json.loads(message.body), message.channel)

        send(work.first())
        while work.relays and not work.stopped:
            send(work.due())
            time.sleep(0.1)
        if work.relays:
            return

        def handle(message: Any) -> None:
            send(work.react(json.dumps(message.payload).encode()))
            message.ack()

        receive = {"callback": _called, "on_message": _called, "simple": _simple, "get": _got}
        receive[mode](work, connection, handle, mode)


def _called(work: Any, connection: Any, handle: Any, mode: str) -> None:
    takes: dict[str, Any] = {"callbacks": [lambda _, message: handle(message)]}
    if mode == "on_message":
        takes = {"on_message": handle}
    with Consumer(connection, [Queue(work.inbox)], accept=["json"], **takes):
        while not work.stopped:
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.1)


def _simple(work: Any, connection: Any, handle: Any, _: str) -> None:
    with SimpleQueue(connection, Queue(work.inbox)) as queue:
        while not work.stopped:
            with suppress(queue.Empty):
                handle(queue.get(timeout=0.1))


def _got(work: Any, connection: Any, handle: Any, _: str) -> None:
    queue = Queue(work.inbox)(connection)
    while not work.stopped:
        message = queue.get(accept=["json"])
        if message is None:
            time.sleep(0.05)
        else:
            handle(message)
