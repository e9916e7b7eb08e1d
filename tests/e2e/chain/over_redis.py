"""
The chain over redis-py, sync or `asyncio`: lists, published messages, streams.

Lists: `blpop` from one, `lmove` to a list of what is at work. Published messages: `get_message`,
`listen`, `handler`. Streams: `xread` alone, or by a group `xreadgroup` what is new and
`xautoclaim` what another consumer left. `pipelined` lists and streams are sent in pipelines.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import time

from collections.abc import Coroutine, Iterable
from typing import Any

import redis

from redis import asyncio as redis_asyncio


RECEIVERS = ("orders", "payments", "shop")
GROUP = "workers"
STREAMS = ("xread", "xreadgroup", "xautoclaim", "pipelined stream")
LISTS = ("blpop", "lmove", "pipelined list")


def run(work: Any, mode: str) -> None:
    style = mode.removeprefix("asyncio ")
    service = Service(work, style, asynchronous=style != mode)
    if service.asynchronous:
        asyncio.run(service.serve())
    else:
        _run_inline(service.serve())


class Service:
    """One service's client and its way of sending and receiving."""

    def __init__(self, work: Any, style: str, *, asynchronous: bool) -> None:
        self.work = work
        self.style = style
        self.asynchronous = asynchronous
        self.library = redis_asyncio if asynchronous else redis

    async def serve(self) -> None:
        self.client = self.library.Redis.from_url(self.work.broker)
        try:
            if self.work.relays:
                await self.relay()
            else:
                await self.receive()
        finally:
            await _answered(getattr(self.client, _close(self.client))())

    async def relay(self) -> None:
        while not self.work.stopped:
            await self.send(self.work.due())
            await self.pause(0.1)

    async def send(self, messages: Iterable[Any]) -> None:
        pipelined = self.style.startswith("pipelined")
        target = self.client.pipeline() if pipelined else self.client
        for message in messages:
            if self.style in STREAMS:
                await _answered(target.xadd(message.channel, {"order": message.body}))
            elif self.style in LISTS:
                await _answered(target.rpush(message.channel, message.body))
            else:
                await _answered(target.publish(message.channel, message.body))
        if pipelined:
            await _answered(target.execute())

    async def received(self, body: bytes) -> None:
        await self.send(self.work.react(body))

    async def receive(self) -> None:
        if self.style in STREAMS or self.style in LISTS:
            await self.send(self.work.first())
            take = getattr(self, f"_{self.style.replace(' ', '_')}")
            while not self.work.stopped:
                await take(self.work.inbox)
        else:
            await self._subscribed()

    async def _blpop(self, inbox: str) -> None:
        got = await _answered(self.client.blpop([inbox], timeout=1))
        if got is not None:
            await self.received(got[1])

    _pipelined_list = _blpop

    async def _lmove(self, inbox: str) -> None:
        at_work = f"{inbox}.at_work"
        body = await _answered(self.client.blmove(inbox, at_work, 1, "LEFT", "RIGHT"))
        if body is not None:
            await self.received(body)
            await _answered(self.client.lrem(at_work, 1, body))

    async def _xread(self, inbox: str) -> None:
        after = getattr(self, "after", "0")
        for id_, fields in _of(await _answered(self.client.xread({inbox: after}, 1, 200))):
            self.after = id_
            await self.received(fields[b"order"])

    async def _xreadgroup(self, inbox: str) -> None:
        entries = self.client.xreadgroup(GROUP, "worker", {inbox: ">"}, 1, 200)
        await self._handled(inbox, _of(await _answered(entries)))

    async def _pipelined_stream(self, inbox: str) -> None:
        entries = self.client.xreadgroup(GROUP, "worker", {inbox: ">"}, 1, 200)
        for id_, fields in _of(await _answered(entries)):
            await self.received(fields[b"order"])
            pipeline = self.client.pipeline(transaction=False)
            pipeline.xack(inbox, GROUP, id_)
            await _answered(pipeline.execute())

    async def _xautoclaim(self, inbox: str) -> None:
        # Another consumer, which is gone, and was not instrumented.
        words = ("XREADGROUP", "GROUP", GROUP, "gone", "BLOCK", 200, "STREAMS", inbox, ">")
        await _answered(self.client.execute_command(*words))
        claimed = await _answered(self.client.xautoclaim(inbox, GROUP, "worker", 0, count=1))
        while claimed[1]:
            await self._handled(inbox, claimed[1])
            claimed = await _answered(self.client.xautoclaim(inbox, GROUP, "worker", 0, count=1))

    async def _handled(self, inbox: str, entries: Any) -> None:
        for id_, fields in entries:
            await self.received(fields[b"order"])
            await _answered(self.client.xack(inbox, GROUP, id_))

    async def _subscribed(self) -> None:
        subscriber, inbox = self.client.pubsub(ignore_subscribe_messages=True), self.work.inbox
        handlers = {inbox: self._called} if self.style == "handler" else {}
        await _answered(
            subscriber.subscribe(*({inbox} - {*handlers}), f"{inbox}.stop", **handlers)
        )
        await self._start()
        if self.style == "listen":
            await self._listen(subscriber)
        while not self.work.stopped:
            message = await _answered(subscriber.get_message(timeout=0.2))
            if message is not None:
                await self.received(message["data"])
        await _answered(getattr(subscriber, _close(subscriber))())

    @property
    def _called(self) -> Any:
        async def called_later(message: Any) -> None:
            await self.received(message["data"])

        def called(message: Any) -> None:
            _run_inline(self.received(message["data"]))

        return called_later if self.asynchronous else called

    async def _listen(self, subscriber: Any) -> None:
        def stop(*_: object) -> None:
            # A cancellation may be lost in redis-py 8.1, and a flag is not seen meanwhile.
            self.work.stopped = True
            with redis.Redis.from_url(self.work.broker) as client:
                client.publish(f"{self.work.inbox}.stop", b"")

        signal.signal(signal.SIGTERM, stop)
        messages = subscriber.listen()
        if self.asynchronous:
            async for message in messages:
                if self.work.stopped:
                    break
                await self.received(message["data"])
        else:
            for message in messages:
                if self.work.stopped:
                    break
                await self.received(message["data"])

    async def _start(self) -> None:
        """Send the first messages, when all who receive are there: nobody keeps them."""
        run = self.work.inbox.removesuffix(self.work.service)
        channels = [f"{run}{receiver}" for receiver in RECEIVERS]
        while self.work.starts and not self.work.stopped:
            heard = await _answered(self.client.pubsub_numsub(*channels))
            if all(count for _, count in heard):
                # Only now: what waits in the outbox is sent by another service.
                await self.send(self.work.first())
                return
            await self.pause(0.05)

    async def pause(self, seconds: float) -> None:
        if self.asynchronous:
            await asyncio.sleep(seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251 - no loop runs here


async def _answered(answer: Any) -> Any:
    return await answer if inspect.iscoroutine(answer) else answer


def _run_inline(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine of synchronous calls, which never waits."""
    with contextlib.suppress(StopIteration):
        work.send(None)


def _close(closes: Any) -> str:
    return "aclose" if hasattr(closes, "aclose") else "close"  # renamed in 5.0.1, for asyncio


def _of(answer: Any) -> Any:
    """The entries of the one stream that was read, in any version's form."""
    streams = list(answer.items()) if isinstance(answer, dict) else answer
    found = streams[0][1] if streams else []
    return found[0] if found and isinstance(found[0], list) else found
