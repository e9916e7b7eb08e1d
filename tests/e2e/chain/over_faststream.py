"""
The chain over FastStream's brokers: functions that subscribe, decorated by what they publish to.

Kafka, alone or `batch`; RabbitMQ; NATS core, `push` and `pull` from JetStream; Redis `channel`,
`list` and `stream`. It stands on aiokafka, aio-pika, nats-py and redis-py, which are seen.
"""

from __future__ import annotations

import asyncio
import importlib
import json

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from worker import NEXT


BROKERS = {
    "kafka": "faststream.kafka:KafkaBroker",
    "nats": "faststream.nats:NatsBroker",
    "rabbitmq": "faststream.rabbit:RabbitBroker",
    "redis": "faststream.redis:RedisBroker",
}
# Nobody keeps what is sent to those who come later.
KEPT_BY_NOBODY = ("nats", "redis channel")
RECEIVERS = ("orders", "payments", "shop")


def run(work: Any, mode: str) -> None:
    work.run_until_cancelled(Service(work, mode).serve())


class Service:
    """One service's broker and its way of sending and receiving."""

    def __init__(self, work: Any, mode: str) -> None:
        self.work = work
        self.mode = mode
        self.system, _, self.how = mode.partition(" ")
        module, _, name = BROKERS[self.system].partition(":")
        self.broker = getattr(importlib.import_module(module), name)(work.broker, logger=None)

    async def serve(self) -> None:
        if not self.work.relays:
            self.subscribe()
        async with self.started():
            while self.work.relays:
                await self.send(self.work.due())
                await asyncio.sleep(0.1)
            await self.there()
            await self.send(self.work.first())
            await asyncio.Event().wait()

    @asynccontextmanager
    async def started(self) -> AsyncIterator[None]:
        await self.broker.start()
        try:
            yield
        finally:
            await self.broker.stop()

    def subscribe(self) -> None:
        """Handle what comes: published by a decorator where that is known before, else not."""
        if self.how == "batch":
            self.inbox()(self.handled_together)
            return
        inbox = self.inbox()
        run = self.work.inbox.removesuffix(self.work.service)
        for caused_by, (_, receiver) in NEXT.items():
            for via, bare in (("headers", ""), ("no headers", ".bare")):
                publisher = self.by(self.broker.publisher, f"{run}{receiver}{bare}")
                inbox(publisher(self.answered), filter=of(caused_by, via))
        inbox(self.handled)
        if self.mode == "nats":
            self.broker.subscriber(f"{self.work.inbox}.up")(self.is_up)

    def inbox(self) -> Any:
        name: Any = self.work.inbox
        options: dict[str, Any] = {}
        if self.system == "kafka":
            options = {"group_id": name, "auto_offset_reset": "earliest"}
            options["batch"] = self.how == "batch"
        elif self.system == "rabbitmq":
            name = importlib.import_module("faststream.rabbit").RabbitQueue(name, declare=False)
        elif self.how in ("push", "pull"):
            run = name.removesuffix(f".{self.work.service}")
            options = {"stream": run, "durable": self.work.service, "pull_sub": self.how == "pull"}
        elif self.how == "stream":
            by_group = importlib.import_module("faststream.redis").StreamSub
            name = by_group(name, group="workers", consumer=self.work.service, max_records=1)
        return self.by(self.broker.subscriber, name, **options)

    def by(self, called: Any, channel: Any, *first: Any, **options: Any) -> Any:
        """Call a method of the broker with a channel, which Redis has three kinds of."""
        if self.system == "redis":
            return called(*first, **{self.how: channel}, **options)
        return called(*first, channel, **options)

    async def answered(self, body: dict[str, Any]) -> dict[str, Any]:
        (message,) = self.work.react(json.dumps(body).encode())
        following: dict[str, Any] = json.loads(message.body)
        return following

    async def handled(self, body: dict[str, Any]) -> None:
        await self.send(self.work.react(json.dumps(body).encode()))

    async def handled_together(self, bodies: list[dict[str, Any]]) -> None:
        for body in bodies:
            await self.handled(body)

    async def is_up(self) -> str:
        return "yes"

    async def send(self, messages: Iterable[Any]) -> None:
        for message in messages:
            await self.by(self.broker.publish, message.channel, json.loads(message.body))

    async def there(self) -> None:
        """Wait for all who receive, where what they miss is lost."""
        run = self.work.inbox.removesuffix(self.work.service)
        for receiver in RECEIVERS if self.mode in KEPT_BY_NOBODY and self.work.starts else ():
            while not await self._hears(f"{run}{receiver}"):  # noqa: ASYNC110 - another process says when
                await asyncio.sleep(0.05)

    async def _hears(self, channel: str) -> bool:
        if self.system == "redis":
            ((_, count),) = await self.broker._connection.pubsub_numsub(channel)
            return bool(count)
        with suppress(Exception):
            await self.broker.request("", f"{channel}.up", timeout=1)
            return True
        return False


def of(caused_by: str, via: str) -> Any:
    async def is_so(message: Any) -> bool:
        body = json.loads(message.body)
        return (body["type"], body["payload"]["via"]) == (caused_by, via)

    return is_so
