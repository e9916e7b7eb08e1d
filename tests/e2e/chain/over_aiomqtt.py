"""The chain over aiomqtt: MQTT 5 or 3.1.1, with a quality of service from 0 to 2."""

from __future__ import annotations

import asyncio

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import aiomqtt

from over_paho import RECEIVERS, UP


def run(work: Any, mode: str) -> None:
    work.run_until_cancelled(_work(work, mode))


async def _work(work: Any, mode: str) -> None:
    at, versions = urlsplit(work.broker), aiomqtt.ProtocolVersion
    protocol = versions.V311 if "3.1.1" in mode else versions.V5
    async with aiomqtt.Client(at.hostname, at.port, protocol=protocol) as client:
        service = Service(work, int(mode[-1]), client)
        await (service.relay() if work.relays else service.receive())


class Service:
    """One service's client and its way of sending and receiving."""

    def __init__(self, work: Any, qos: int, client: Any) -> None:
        self.work = work
        self.qos = qos
        self.client = client

    async def send(self, messages: Iterable[Any]) -> None:
        for message in messages:
            await self.client.publish(message.channel, message.body, self.qos)

    async def relay(self) -> None:
        while True:
            await self.send(self.work.due())
            await asyncio.sleep(0.1)

    async def receive(self) -> None:
        inbox, up = self.work.inbox, set()
        run = inbox.removesuffix(self.work.service)
        ups = [f"{run}{receiver}{UP}" for receiver in RECEIVERS]
        await self.client.subscribe([(inbox, self.qos), *((topic, 1) for topic in ups)])
        await self.client.publish(f"{inbox}{UP}", b"up", 1, retain=True)
        async for message in self.client.messages:
            if message.topic.value == inbox:
                await self.send(self.work.react(message.payload))
                continue
            up.add(message.topic.value)
            if len(up) == len(ups):
                await self.send(self.work.first())
