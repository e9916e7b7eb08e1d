"""A shop's tasks, for real workers: `celery --app=celery_shop worker`, over ``BROKER``."""

from __future__ import annotations

import os
import signal
import time

from collections.abc import Iterator
from typing import Any

import httpx

from celery import Celery, chain, group


app = Celery("shop", broker=os.environ["BROKER"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ["QUEUE"],
    task_ignore_result=True,
)


@app.task(name="shop.order")
def order(number: int) -> None:
    chain(bill.si(number), pack.si(number)).delay()


@app.task(name="shop.bill", bind=True)
def bill(task: Any, number: int) -> None:
    if not task.request.retries:
        raise task.retry(exc=ValueError(f"{number} is not there yet"), countdown=0)


@app.task(name="shop.pack")
def pack(number: int) -> None:
    group(stamp.s(number), stamp.s(number)).delay()


@app.task(name="shop.stamp", bind=True, acks_late=True, reject_on_worker_lost=True)
def stamp(task: Any, _: int) -> None:
    prefork = task.request.hostname.startswith("prefork")
    if prefork and not task.request.delivery_info["redelivered"]:
        # What a process has not sent yet dies with it.
        while not _everything_is_stored(task.request.root_id):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)


def _everything_is_stored(root: str) -> bool:
    nodes = list(_below(_asked(f"tree/{root}")["root"]))
    handlings = [each for node in nodes for each in node["deliveries"]]
    spans = {span["span_id"] for span in _asked(f"spans/{nodes[0]['trace_id']}")}
    wanted = {each["span_id"] for each in (*nodes, *handlings)}
    return len(nodes) == 5 and len(handlings) == 4 and wanted <= spans


def _asked(what: str) -> Any:
    return httpx.get(f"{os.environ['QUESTIONS']}/api/{what}", trust_env=False).json()


def _below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node["children"]:
        yield from _below(child)
