"""A shop's task: `celery --app=by_celery worker`."""

from __future__ import annotations

import os

from typing import Any

import shop

from celery import Celery


app = Celery("by_celery", broker=os.environ["BROKER"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ["QUEUE"],
    task_ignore_result=True,
)


@app.task
def handle(body: dict[str, Any]) -> None:
    for each in shop.work(body):
        handle.delay(each)


def send(body: dict[str, Any]) -> None:
    handle.delay(body)
