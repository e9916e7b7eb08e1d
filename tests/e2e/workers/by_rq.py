"""A shop's job: `rq worker QUEUE`."""

from __future__ import annotations

import os

from typing import Any

import shop

from redis import Redis
from rq import Queue


def handle(body: dict[str, Any]) -> None:
    for each in shop.work(body):
        send(each)


def send(body: dict[str, Any]) -> None:
    with Redis.from_url(os.environ["BROKER"]) as connection:
        Queue(os.environ["QUEUE"], connection=connection).enqueue(handle, body)
