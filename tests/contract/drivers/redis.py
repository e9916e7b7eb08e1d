"""redis-py against Redis: lists as queues and published messages, in each way to receive them."""

from __future__ import annotations

import time

from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import redis

from opentelemetry.instrumentation.utils import suppress_instrumentation
from redis import asyncio as redis_asyncio
from redis.backoff import NoBackoff

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge, run_in_loop
from tests.contract.drivers.redis_streams import answered


SERVERS = ("redis_server",)
# Whoever takes a message out has it alone, and nobody keeps what is published.
_TAKEN = Features("redis", polled=True, in_sender=True, forgets=True, headers=False)
_KEPT = replace(_TAKEN, forgets=False)
_STYLES = {
    "blpop": _TAKEN,
    "rpop": _TAKEN,
    "lpop many": replace(_TAKEN, batch=500),
    "lmove": _KEPT,
    "brpoplpush": _KEPT,
    "pipeline": _TAKEN,
    "get_message": _TAKEN,
    "listen": _TAKEN,
    "handler": replace(_TAKEN, polled=False),
    "decoded": _TAKEN,
}
STYLES = {
    **_STYLES,
    **{f"asyncio {style}": replace(each, asynchronous=True) for style, each in _STYLES.items()},
}
_PUBLISHED = ("get_message", "listen", "handler")


class Driver:
    def __init__(self, style, address):
        self.style = style.removeprefix("asyncio ")
        self.features = STYLES[style]
        self.run = run_in_loop if self.features.asynchronous else run_inline
        self.at = urlsplit(address)
        self.between = lambda: None
        self.published = self.style in _PUBLISHED

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        if self.published:
            return {"channel": channel, "message": body}
        return {"name": channel, "values": (body,)}

    async def send(self, *calls, positional=False):
        async with self._open() as client:
            await self._send(client, *calls, positional=positional)
        self.between()

    async def _send(self, client, *calls, positional=False):
        target = client.pipeline() if self.style == "pipeline" else client
        for call in calls:
            if self.published and not positional:
                await answered(target.publish(**call))
            elif self.published:  # channel, message
                await answered(target.publish(*call.values()))
            else:
                # `*values` have no name.
                push = target.lpush if self.style in ("rpop", "brpoplpush") else target.rpush
                await answered(push(call["name"], *call["values"]))
        if target is not client:
            await answered(target.execute())

    async def send_bare(self, channel, body):
        raw = f"{channel}raw"
        if not self.published:
            await self.send(self.call(raw, body, {}))
            await bridge(self, raw, channel)
            self.between()
            return
        # What `bridge` does, where nobody hears what was published before.
        async with self._open() as client, self._subscribed(client, raw) as subscriber:
            await self._send(client, self.call(raw, body, {}))
            self.between()
            with suppress_instrumentation():
                message = await answered(subscriber.get_message(timeout=20))
                await self._send(client, self.call(channel, message["data"], {}))
        self.between()

    async def send_in_vain(self, call):
        if self.published:
            async with self._open(port=1) as client:
                await self._send(client, call)
        async with self._open() as client:
            if self.style == "pipeline":
                pipe = client.pipeline()
                await answered(pipe.watch(call["name"]))
                await answered(client.set(call["name"], "changed"))
                pipe.multi()
                pipe.rpush(call["name"], *call["values"])
                await answered(pipe.execute())
            else:
                await answered(client.set(call["name"], "no list"))
                await self._send(client, call)

    async def drive(self, handlers, start, count):
        async with self._open() as client:
            if self.style == "handler":
                await self._called_back(client, handlers, start, count)
            elif self.published:
                async with self._subscribed(client, *handlers) as subscriber:
                    await start()
                    await self._heard(subscriber, handlers, count)
            else:
                with suppress_instrumentation():
                    for channel in handlers:
                        await self._take_up(client, channel)
                await start()
                await self._taken(client, handlers, count)

    async def _take_up(self, client, channel):
        """Put back what whoever took it has not handled."""
        while await answered(client.rpoplpush(f"{channel}.at_work", channel)):
            pass

    async def _taken(self, client, handlers, count):
        deadline = time.monotonic() + 20
        while count:
            for channel in handlers:
                for value in await self._values(client, channel):
                    await handlers[channel](self._got(channel, value))
                    count -= 1
                    if not self.features.forgets:
                        await answered(client.lrem(f"{channel}.at_work", 1, value))
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} messages did not come")

    async def _values(self, client, channel):
        at_work = f"{channel}.at_work"
        if self.style == "rpop":
            value = await answered(client.rpop(channel))
        elif self.style == "lpop many":
            return await answered(client.lpop(channel, 500)) or []
        elif self.style == "lmove":
            value = await answered(client.lmove(channel, at_work, "LEFT", "RIGHT"))
        elif self.style == "brpoplpush":
            value = await answered(client.brpoplpush(channel, at_work, 1))
        else:
            _, value = await answered(client.blpop([channel], 1)) or (None, None)
        return [] if value is None else [value]

    async def _called_back(self, client, handlers, start, count):
        left = count

        def called_by(handler):
            async def called_later(message):
                nonlocal left
                left -= 1
                await handler(self._got(None, message))

            def called(message):
                run_inline(called_later(message))

            return called_later if self.features.asynchronous else called

        called = {channel: called_by(handler) for channel, handler in handlers.items()}
        async with self._subscribed(client, **called) as subscriber:
            await start()
            while left > 0:
                await answered(subscriber.get_message(timeout=0.1))

    async def _heard(self, subscriber, handlers, count):
        if self.style == "get_message":
            while count:
                message = await answered(subscriber.get_message(timeout=0.1))
                if message is not None:
                    await handlers[_text(message["channel"])](self._got(None, message))
                    count -= 1
        else:
            # Held on to: a generator that is left does not say how the handling ended.
            self.messages = subscriber.listen()
            for _ in range(count):
                message = await _next(self.messages)
                await handlers[_text(message["channel"])](self._got(None, message))

    def _got(self, channel, native):
        body = native if channel else native["data"]
        body = body if isinstance(body, bytes) else body.encode()
        return Got((channel, native) if channel else native, body, {})

    @asynccontextmanager
    async def _subscribed(self, client, *channels, **handlers):
        subscriber = client.pubsub()
        try:
            await answered(subscriber.subscribe(*channels, **handlers))
            for _ in (*channels, *handlers):
                assert await answered(subscriber.get_message(timeout=20))
            yield subscriber
        finally:
            await _closed(subscriber)

    @asynccontextmanager
    async def _open(self, port=None):
        library = redis_asyncio if self.features.asynchronous else redis
        retry = redis_asyncio.retry.Retry if self.features.asynchronous else redis.retry.Retry
        client = library.Redis(
            host=self.at.hostname,
            port=port or self.at.port,
            decode_responses=self.style == "decoded",
            socket_timeout=20,
            retry=retry(NoBackoff(), 0),
        )
        try:
            yield client
        finally:
            await _closed(client)


async def _closed(closes):
    # 5.0.1 renamed it for asyncio.
    await answered(closes.aclose() if hasattr(closes, "aclose") else closes.close())


async def _next(messages):
    return await anext(messages) if hasattr(messages, "__anext__") else next(messages)


def _text(value):
    return value.decode() if isinstance(value, bytes) else value
