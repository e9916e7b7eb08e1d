"""The chain over RQ: its worker `forks` a work horse for each job, or is a `simple` one."""

from __future__ import annotations

import json
import time

from collections.abc import Iterable
from typing import Any

import rq

from redis import Redis


WORKERS = {"forks": rq.Worker, "simple": rq.SimpleWorker}
# A job says its function by name: what that needs, a work horse inherits.
_service: Any = None


def run(work: Any, mode: str) -> None:
    global _service  # noqa: PLW0603 - as above
    _service = work
    with Redis.from_url(work.broker) as connection:
        send(connection, work.first())
        while work.relays and not work.stopped:
            send(connection, work.due())
            time.sleep(0.1)
        if not work.relays:
            WORKERS[mode]([work.inbox], connection=connection).work()


def send(connection: Redis, messages: Iterable[Any]) -> None:
    for message in messages:
        to = rq.Queue(message.channel, connection=connection)
        to.enqueue("over_rq.handle", json.loads(message.body))


def handle(body: dict[str, Any]) -> None:
    with Redis.from_url(_service.broker) as connection:
        send(connection, _service.react(json.dumps(body).encode()))
