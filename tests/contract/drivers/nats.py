"""nats-py against NATS: core and JetStream, each way to send and to receive."""

from __future__ import annotations

import asyncio

from contextlib import asynccontextmanager
from dataclasses import replace

import nats

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelope.testing import Features, Got
from otelope.testing.driver import bridge, run_in_loop


SERVERS = ("nats_server",)
# What a callback raises is told to the client's error_cb.
_CALLED = Features("nats", asynchronous=True, raises=False)
_CORE = Features("nats", polled=True, in_sender=True, asynchronous=True, forgets=True)
_STREAM = replace(_CORE, forgets=False, redelivers=True)
STYLES = {
    "callback": _CALLED,
    "request": replace(_CALLED, nested=True),
    "next_msg": _CORE,
    "async for": _CORE,
    "push callback": _CALLED,
    "push next_msg": _STREAM,
    "fetch one": _STREAM,
    "fetch many": replace(_STREAM, batch=500),
}
_STREAMS = ("push", "fetch")


class Driver:
    run = staticmethod(run_in_loop)

    def __init__(self, style, address):
        self.style = style
        self.address = address
        self.features = STYLES[style]
        self.between = lambda: None
        self.streams = style.startswith(_STREAMS)

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        return {"subject": channel, "payload": body, "headers": dict(headers) or None}

    async def send(self, *calls, positional=False):
        async with self._open() as client:
            for call in calls:
                await self._send(client, call, positional=positional)
            await client.flush()
        self.between()

    async def _send(self, client, call, *, positional=False):
        subject, payload, headers = call.values()
        if self.streams:  # timeout, stream
            send, between = client.jetstream().publish, (5, None)
        elif self.style == "request":  # timeout, old_style
            send, between = client.request, (5, False)
        else:  # reply
            send, between = client.publish, ("",)
        if positional:
            await send(subject, payload, *between, headers)
        else:
            await send(**call)

    async def send_bare(self, channel, body):
        raw = f"{channel}.raw"
        if self.streams:
            with suppress_instrumentation():
                async with self._open() as client:
                    await client.jetstream().add_stream(name=_name(raw), subjects=[raw])
            await self.send(self.call(raw, body, {}))
            await bridge(self, raw, channel)
            self.between()
        else:
            async with self._bridge(raw, channel):
                await self.send(self.call(raw, body, {}))

    @asynccontextmanager
    async def _bridge(self, source, channel):
        """What `bridge` does, in core NATS, where nobody hears what was sent before."""
        forwarded = asyncio.Event()

        async def forward(msg):
            self.between()
            await self._send(client, self.call(channel, msg.data, {}))
            if msg.reply:
                await msg.respond(b"")
            forwarded.set()

        async with self._open() as client:
            with suppress_instrumentation():
                await client.subscribe(source, cb=forward)
                await client.flush()
            yield
            await asyncio.wait_for(forwarded.wait(), 10)
            await client.flush()

    async def send_in_vain(self, call):
        async with self._open() as client:
            if self.streams or self.style == "request":
                await self._send(client, {**call, "subject": "nobody.is.here"})
            else:
                await client.close()
                await self._send(client, call)

    async def drive(self, handlers, start, count):
        async with self._open() as client:
            if self.streams:
                for channel in handlers:
                    await self._make(client, channel)
            # Not wait_for: it handles the messages in a task of its own.
            task = asyncio.current_task()
            timer = asyncio.get_running_loop().call_later(20, task.cancel, "no message came")
            receive = self._called_back if self.features.polled is False else self._polled
            await receive(client, handlers, start, count)
            timer.cancel()

    async def _make(self, client, channel):
        with suppress_instrumentation():
            await client.jetstream().add_stream(name=_name(channel), subjects=[channel])

    async def _called_back(self, client, handlers, start, count):
        handled = asyncio.Semaphore(0)

        async def callback(msg):
            try:
                await handlers[msg.subject](_got(msg))
            finally:
                if self.style == "request":
                    await msg.respond(b"")
                handled.release()

        for channel in handlers:
            if self.streams:
                await client.jetstream().subscribe(channel, cb=callback)
            else:
                await client.subscribe(channel, cb=callback)
        await client.flush()
        await start()
        for _ in range(count):
            await handled.acquire()

    async def _polled(self, client, handlers, start, count):
        subscriptions = [await self._subscribe(client, channel) for channel in handlers]
        await client.flush()
        await start()
        while count > 0:
            for subscription in subscriptions:
                for msg in await self._received(subscription, count):
                    await self._handle(msg, handlers)
                    count -= 1

    async def _handle(self, msg, handlers):
        try:
            await handlers[msg.subject](_got(msg))
        except BaseException:
            if self.streams:
                await msg.nak(delay=0.2)  # at once, it would come to this client
            raise
        if self.streams:
            await msg.ack()

    async def _subscribe(self, client, channel):
        if self.style.startswith("fetch"):
            return await client.jetstream().pull_subscribe(channel, f"d{_name(channel)}")
        if self.streams:
            return await client.jetstream().subscribe(channel, durable=f"d{_name(channel)}")
        return await client.subscribe(channel)

    async def _received(self, subscription, count):
        try:
            if self.style.startswith("fetch"):
                return await subscription.fetch(count if self.style == "fetch many" else 1, 0.1)
            if self.style.endswith("next_msg"):
                return [await subscription.next_msg(0.05)]
            if subscription.pending_msgs == 0:
                await asyncio.sleep(0.005)
                return []
            async for msg in subscription.messages:
                return [msg]
        except asyncio.TimeoutError:
            return []

    @asynccontextmanager
    async def _open(self):
        async def ignore(_):
            pass

        client = await nats.connect(self.address, error_cb=ignore)
        try:
            yield client
        finally:
            await client.close()


def _got(msg):
    return Got(msg, msg.data, msg.headers or {})


def _name(channel):
    return channel.replace(".", "_")
