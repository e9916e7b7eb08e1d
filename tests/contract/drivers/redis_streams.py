"""redis-py against Redis: streams, each way to add to them and to read them."""

from __future__ import annotations

import inspect
import time

from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import redis

from redis import asyncio as redis_asyncio

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge, run_in_loop


SERVERS = ("redis_server",)
_ALONE = Features("redis", polled=True, in_sender=True)
_GROUP = replace(_ALONE, redelivers=True)
_STYLES = {
    "xread": _ALONE,
    "xreadgroup": _GROUP,
    "xreadgroup many": replace(_GROUP, batch=500),
    "xautoclaim": _GROUP,
    "pipeline": _GROUP,
    "decoded": _GROUP,
}
STYLES = {
    **_STYLES,
    **{f"asyncio {style}": replace(each, asynchronous=True) for style, each in _STYLES.items()},
}


class Driver:
    def __init__(self, style, address):
        self.style = style.removeprefix("asyncio ")
        self.features = STYLES[style]
        self.run = run_in_loop if self.features.asynchronous else run_inline
        self.at = urlsplit(address)
        self.between = lambda: None
        self.after = {}

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {"name": channel, "fields": {"order": body, **headers}}

    async def send(self, *calls, positional=False):
        async with self._open() as client:
            target = client.pipeline() if self.style == "pipeline" else client
            for call in calls:
                if positional:  # name, fields
                    await answered(target.xadd(*call.values()))
                else:
                    await answered(target.xadd(**call))
            if target is not client:
                await answered(target.execute())
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}raw"
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        async with self._open() as client:
            if self.style == "pipeline":
                pipe = client.pipeline()
                await answered(pipe.watch(call["name"]))
                await answered(client.set(call["name"], "changed"))
                pipe.multi()
                pipe.xadd(**call)
                await answered(pipe.execute())
            else:
                await answered(client.set(call["name"], "no stream"))
                await answered(client.xadd(**call))

    async def drive(self, handlers, start, count):
        async with self._open() as client:
            for channel in handlers if self.features.redelivers else ():
                with suppress(redis.ResponseError):  # it is there
                    await answered(client.xgroup_create(channel, "workers", "0", mkstream=True))
            await start()
            deadline = time.monotonic() + 20
            while count:
                for channel in handlers:
                    for id_, fields in await self._entries(client, channel):
                        await self._handle(client, handlers, channel, id_, fields)
                        count -= 1
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{count} messages did not come")

    async def _entries(self, client, channel):
        if not self.features.redelivers:
            after = self.after.get(channel, "0")
            return _of(await answered(client.xread({channel: after}, count=1)))
        asked = ("workers", "worker")
        many = 500 if self.style.endswith("many") else 1
        if self.style == "xautoclaim":
            found = await answered(client.xautoclaim(channel, *asked, 0, count=1))
            left = found[1]
        else:
            left = _of(await answered(client.xreadgroup(*asked, {channel: "0"}, count=many)))
        return left or _of(await answered(client.xreadgroup(*asked, {channel: ">"}, count=many)))

    async def _handle(self, client, handlers, channel, id_, fields):
        texts = {_text(name): value for name, value in fields.items()}
        body = texts.pop("order")
        body = body if isinstance(body, bytes) else body.encode()
        headers = {name: _text(value) for name, value in texts.items()}
        await handlers[channel](Got((id_, fields), body, headers))
        self.after[channel] = id_
        if self.features.redelivers:
            target = client.pipeline() if self.style == "pipeline" else client
            await answered(target.xack(channel, "workers", id_))
            if target is not client:
                await answered(target.execute())

    @asynccontextmanager
    async def _open(self):
        library = redis_asyncio if self.features.asynchronous else redis
        decodes = self.style == "decoded"
        # By from_url, asyncio's client before 5.0 leaves its connections open.
        where = {"host": self.at.hostname, "port": self.at.port}
        client = library.Redis(**where, decode_responses=decodes)
        try:
            yield client
        finally:
            # 5.0.1 renamed it for asyncio.
            await answered(getattr(client, "aclose", client.close)())


async def answered(answer):
    return await answer if inspect.iscoroutine(answer) else answer


def _of(answer):
    """The entries of the one stream that was read, in any version's form."""
    streams = list(answer.items()) if isinstance(answer, dict) else answer
    found = streams[0][1] if streams else []
    return found[0] if found and isinstance(found[0], list) else found


def _text(value):
    return value.decode() if isinstance(value, bytes) else value
