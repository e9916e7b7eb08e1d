"""
The chain over nats-py.

NATS core by a callback, `request`, `next_msg` or `async for`; JetStream by `push`ed messages and
`fetch`. Requests are handled in tasks, so that a service may ask itself, and answered afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib

from collections.abc import Iterable
from typing import Any

import nats


# Core NATS keeps nothing for those who come later.
RECEIVERS = ("orders", "payments", "shop")


def run(work: Any, mode: str) -> None:
    work.run_until_cancelled(_work(work, mode))


class Service:
    """One service's connection and its way of sending and receiving."""

    def __init__(self, work: Any, mode: str, client: Any) -> None:
        self.work = work
        self.mode = mode
        self.client = client
        self.streams = client.jetstream()
        self.handling: set[asyncio.Future[None]] = set()

    async def send(self, messages: Iterable[Any]) -> None:
        for message in messages:
            if self.mode in ("push", "fetch"):
                await self.streams.publish(message.channel, message.body)
            elif self.mode == "request":
                await self.client.request(message.channel, message.body, timeout=10)
            else:
                await self.client.publish(message.channel, message.body)

    async def received(self, message: Any) -> None:
        await self.send(self.work.react(message.data))

    async def asked(self, message: Any) -> None:
        task = asyncio.ensure_future(self.answered(message))
        self.handling.add(task)
        task.add_done_callback(self.handling.discard)

    async def answered(self, message: Any) -> None:
        await self.received(message)
        await message.respond(b"handled")

    async def relay(self) -> None:
        while True:
            await self.send(self.work.due())
            await asyncio.sleep(0.1)

    async def receive(self) -> None:
        inbox, durable = self.work.inbox, self.work.service
        if self.mode == "push":
            await self.streams.subscribe(inbox, durable=durable, cb=self.received)
        elif self.mode == "fetch":
            pulled = await self.streams.pull_subscribe(inbox, durable=durable)
        elif self.mode in ("callback", "request"):
            called = self.received if self.mode == "callback" else self.asked
            await self.client.subscribe(inbox, cb=called)
        else:
            subscription = await self.client.subscribe(inbox)
        await self.client.subscribe(f"{inbox}.up", cb=_up)
        starting = asyncio.ensure_future(self.start())
        while self.mode == "fetch":
            with contextlib.suppress(asyncio.TimeoutError):
                for message in await pulled.fetch(10, 0.2):
                    await self.received(message)
                    await message.ack()
        while self.mode == "next_msg":
            with contextlib.suppress(asyncio.TimeoutError):
                await self.received(await subscription.next_msg(0.2))
        if self.mode == "async for":
            async for message in subscription.messages:
                await self.received(message)
        await starting
        await asyncio.Event().wait()

    async def start(self) -> None:
        for receiver in RECEIVERS:
            up = f"{self.work.inbox.removesuffix(self.work.service)}{receiver}.up"
            while not await self._is_up(up):  # noqa: ASYNC110 - another process says when
                await asyncio.sleep(0.05)
        await self.send(self.work.first())

    async def _is_up(self, subject: str) -> bool:
        try:
            await self.client.request(subject, timeout=1)
        except (nats.errors.NoRespondersError, asyncio.TimeoutError):
            return False
        return True


async def _work(work: Any, mode: str) -> None:
    async with await nats.connect(work.broker) as client:
        service = Service(work, mode, client)
        await (service.relay() if work.relays else service.receive())


async def _up(message: Any) -> None:
    await message.respond(b"")
