"""A shop's task: `huey_consumer by_huey.huey`."""

from __future__ import annotations

import os

from typing import Any

import shop

from huey import RedisHuey


huey = RedisHuey(os.environ["QUEUE"], url=os.environ["BROKER"], results=False)


@huey.task()
def handle(body: dict[str, Any]) -> None:
    for each in shop.work(body):
        handle(each)


def send(body: dict[str, Any]) -> None:
    handle(body)
