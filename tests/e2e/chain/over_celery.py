"""The chain over Celery: each service a worker, with a pool of processes, of threads or none."""

from __future__ import annotations

import json
import time

from collections.abc import Iterable
from typing import Any

from celery import Celery


def run(work: Any, mode: str) -> None:
    app = Celery("chain", broker=work.broker)
    app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)

    def send(messages: Iterable[Any]) -> None:
        for message in messages:
            app.send_task("chain.handle", [json.loads(message.body)], queue=message.channel)

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    if work.relays:
        return

    @app.task(name="chain.handle")
    def handle(envelope: Any) -> None:
        send(work.react(json.dumps(envelope).encode()))

    # One of a pool, as what was received by another process is not remembered in this one.
    few = ["--concurrency=1", "--without-gossip", "--without-mingle", "--loglevel=WARNING"]
    own = [f"--queues={work.inbox}", f"--hostname={work.inbox}@localhost"]
    app.worker_main(["worker", f"--pool={mode}", *few, *own])
