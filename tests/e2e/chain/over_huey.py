"""The chain over huey: its consumer, whose worker is a `thread` or a `process`."""

from __future__ import annotations

import json
import time

from collections.abc import Callable, Iterable
from typing import Any

from huey import RedisHuey


def run(work: Any, mode: str) -> None:
    to: dict[str, Any] = {}

    def send(messages: Iterable[Any]) -> None:
        for message in messages:
            if message.channel not in to:
                to[message.channel] = huey_of(work.broker, message.channel)[1]
            to[message.channel](json.loads(message.body))

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    if not work.relays:
        inbox, _ = huey_of(
            work.broker, work.inbox, lambda body: send(work.react(json.dumps(body).encode()))
        )
        inbox.create_consumer(workers=1, worker_type=mode, initial_delay=0.01, max_delay=0.1).run()


def huey_of(
    address: str, name: str, handle: Callable[[dict[str, Any]], None] = lambda _: None
) -> tuple[RedisHuey, Callable[[dict[str, Any]], Any]]:
    """The queue of this name, and what puts a task into it."""
    huey = RedisHuey(name, url=address, blocking=False, results=False)

    def act(body: dict[str, Any]) -> None:
        handle(body)

    act.__module__ = "over_huey"  # part of the task's name, whoever imports this
    return huey, huey.task()(act)
