"""A shop's actor: `dramatiq by_dramatiq`."""

from __future__ import annotations

import os

from typing import Any

import dramatiq
import shop

from dramatiq.brokers.rabbitmq import RabbitmqBroker


dramatiq.set_broker(RabbitmqBroker(url=os.environ["BROKER"]))


@dramatiq.actor(queue_name=os.environ["QUEUE"])
def handle(body: dict[str, Any]) -> None:
    for each in shop.work(body):
        handle.send(each)


def send(body: dict[str, Any]) -> None:
    handle.send(body)
