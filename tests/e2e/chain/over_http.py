"""The chain over HTTP, from one client library to the next web framework."""

from __future__ import annotations

import threading
import time

from collections.abc import Iterable
from typing import Any

import http_clients

from http_frameworks import FRAMEWORKS


def run(work: Any, mode: str) -> None:
    if work.relays:
        while not work.stopped:
            _send(work, work.due(), "httpx")
            time.sleep(0.1)
        return
    name, client = mode.split()
    framework = FRAMEWORKS[name]
    app = framework.application(f"/{work.inbox}", _receiving(work, client, framework.asynchronous))
    starting = threading.Thread(target=_send, args=(work, work.first(), "httpx"))
    starting.start()
    framework.serve(work, app)
    starting.join()


def _receiving(work: Any, client: str, asynchronous: bool) -> Any:
    def receive(body: bytes) -> None:
        _send(work, work.react(body), client)

    async def receive_async(body: bytes) -> None:
        for message in work.react(body):
            await http_clients.ASYNCHRONOUS[client](_url(work, message), message.body)

    return receive_async if asynchronous else receive


def _send(work: Any, messages: Iterable[Any], client: str) -> None:
    for message in messages:
        http_clients.BLOCKING[client](_url(work, message), message.body)


def _url(work: Any, message: Any) -> str:
    return f"{work.broker}/{message.channel}"
