"""The chain over HTTP: FastAPI receives, HTTPX sends."""

from __future__ import annotations

import asyncio
import time

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from fastapi import FastAPI, Request


def run(work: Any, _: str) -> None:
    if work.relays:
        _relay(work)
    else:
        uvicorn.run(_application(work), port=0)


def _relay(work: Any) -> None:
    with httpx.Client(base_url=work.broker) as client:
        while not work.stopped:
            for message in work.due():
                client.post(**_request(message)).raise_for_status()
            time.sleep(0.1)


def _application(work: Any) -> FastAPI:
    client = httpx.AsyncClient(base_url=work.broker, timeout=30)

    async def send(messages: Iterable[Any]) -> None:
        for message in messages:
            (await client.post(**_request(message))).raise_for_status()

    @asynccontextmanager
    async def starting(_: FastAPI) -> AsyncIterator[None]:
        first = asyncio.ensure_future(send(work.first()))
        async with client:
            yield
            await first

    app = FastAPI(lifespan=starting)

    @app.post(f"/{work.inbox}", status_code=202)
    async def receive(request: Request) -> None:
        await send(work.react(await request.body()))

    return app


def _request(message: Any) -> dict[str, Any]:
    return {
        "url": f"/{message.channel}",
        "content": message.body,
        "headers": {"content-type": "application/json"},
    }
