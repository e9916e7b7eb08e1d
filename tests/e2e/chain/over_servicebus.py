"""
The chain over azure-servicebus, its asyncio too.

An `iterator` sends one message at a time, `receive_messages` lists, and `batch` what it has
filled and receives one; `deleted` settles nothing.
"""

from __future__ import annotations

import asyncio
import time

from collections.abc import Iterable, Iterator
from typing import Any

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient as AsyncClient


WAIT_SECONDS = 0.2


def run(work: Any, mode: str) -> None:
    if mode.startswith("aio "):
        work.run_until_cancelled(_in_asyncio(work, mode.removeprefix("aio ")))
    else:
        _in_thread(work, mode)


def connected(address: str, client: Any = ServiceBusClient) -> Any:
    string, _, ca = address.partition("ca=")
    return client.from_connection_string(string, connection_verify=ca or None)


def _in_thread(work: Any, mode: str) -> None:
    with connected(work.broker) as client:
        senders: dict[str, Any] = {}

        def send(messages: Iterable[Any]) -> None:
            for channel, bodies in _by_channel(messages):
                if channel not in senders:
                    senders[channel] = client.get_queue_sender(channel)
                sender = senders[channel]
                batch = sender.create_message_batch() if mode == "batch" else None
                for each in _given(mode, bodies, batch):
                    sender.send_messages(each)

        send(work.first())
        while work.relays and not work.stopped:
            send(work.due())
            time.sleep(0.1)
        if not work.relays:
            with client.get_queue_receiver(work.inbox, **_receiving(mode)) as receiver:
                _receive(work, mode, receiver, send)


def _receive(work: Any, mode: str, receiver: Any, send: Any) -> None:
    while not work.stopped:
        for message in receiver if mode == "iterator" else _pulled(receiver, mode):
            send(work.react(b"".join(message.body)))
            if mode != "deleted":
                receiver.complete_message(message)


def _pulled(receiver: Any, mode: str) -> list[Any]:
    messages: list[Any] = receiver.receive_messages(10 if mode == "receive_messages" else 1)
    return messages


async def _in_asyncio(work: Any, mode: str) -> None:
    async with connected(work.broker, AsyncClient) as client:
        senders: dict[str, Any] = {}

        async def send(messages: Iterable[Any]) -> None:
            for channel, bodies in _by_channel(messages):
                if channel not in senders:
                    senders[channel] = client.get_queue_sender(channel)
                sender = senders[channel]
                batch = await sender.create_message_batch() if mode == "batch" else None
                for each in _given(mode, bodies, batch):
                    await sender.send_messages(each)

        await send(work.first())
        while work.relays:
            await send(work.due())
            await asyncio.sleep(0.1)
        async with client.get_queue_receiver(work.inbox, **_receiving(mode)) as receiver:
            while True:
                messages = receiver if mode == "iterator" else _pulled_later(receiver, mode)
                async for message in messages:
                    await send(work.react(b"".join(message.body)))
                    if mode != "deleted":
                        await receiver.complete_message(message)


async def _pulled_later(receiver: Any, mode: str) -> Any:
    for message in await receiver.receive_messages(10 if mode == "receive_messages" else 1):
        yield message


def _receiving(mode: str) -> dict[str, Any]:
    deleted = {"receive_mode": ServiceBusReceiveMode.RECEIVE_AND_DELETE}
    return {"max_wait_time": WAIT_SECONDS, **(deleted if mode == "deleted" else {})}


def _by_channel(messages: Iterable[Any]) -> Iterator[tuple[str, list[bytes]]]:
    found: dict[str, list[bytes]] = {}
    for message in messages:
        found.setdefault(message.channel, []).append(message.body)
    yield from found.items()


def _given(mode: str, bodies: list[bytes], batch: Any) -> list[Any]:
    """What is sent by one call each."""
    messages = [ServiceBusMessage(body) for body in bodies]
    if mode == "batch":
        for message in messages:
            batch.add_message(message)
        return [batch]
    return [messages] if mode == "receive_messages" else messages
