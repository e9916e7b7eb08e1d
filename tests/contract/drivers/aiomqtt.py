"""aiomqtt against Mosquitto: both versions, each quality of service."""

from __future__ import annotations

import asyncio

from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import aiomqtt

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelope.testing import Features, Got
from otelope.testing.driver import run_in_loop
from tests.contract.drivers.paho import user_properties


SERVERS = ("mqtt_server",)
# It acknowledges what it puts into its queue.
_FIVE = Features("mqtt", polled=True, in_sender=True, asynchronous=True, forgets=True)
_OLD = replace(_FIVE, headers=False)
STYLES = {
    "QoS 0": _FIVE,
    "QoS 1": _FIVE,
    "QoS 2": _FIVE,
    "3.1.1 QoS 0": _OLD,
    "3.1.1 QoS 2": _OLD,
}


class Driver:
    run = staticmethod(run_in_loop)

    def __init__(self, style, address):
        self.features = STYLES[style]
        self.qos = int(style[-1])
        self.at = urlsplit(address)
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        call = {"topic": channel, "payload": body, "qos": self.qos}
        return {**call, "properties": user_properties(headers)} if self.features.headers else call

    async def send(self, *calls, positional=False):
        async with self._connected() as client:
            for call in calls:
                if positional:  # topic, payload, qos, retain
                    topic, payload, qos, *properties = call.values()
                    await client.publish(topic, payload, qos, False, *properties)
                else:
                    await client.publish(**call)
        self.between()

    async def send_bare(self, channel, body):
        """What `bridge` does, where nobody hears what was sent before."""
        raw = f"{channel}/raw"
        async with self._connected() as client, self._connected() as bridge:
            await bridge.subscribe(raw, self.qos)
            await client.publish(**self.call(raw, body, {}))
            self.between()
            with suppress_instrumentation():
                async for message in bridge.messages:
                    await client.publish(**self.call(channel, message.payload, {}))
                    break
        self.between()

    async def send_in_vain(self, call):
        async with self._connected() as client:
            pass
        await client.publish(**call)

    async def drive(self, handlers, start, count):
        # Not wait_for: it handles the messages in a task of its own.
        task = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(20, task.cancel, "no message came")
        async with self._connected() as client:
            for channel in handlers:
                await client.subscribe(channel, self.qos)
            await start()
            if count:
                async for message in client.messages:
                    await handlers[message.topic.value](_got(message))
                    count -= 1
                    if not count:
                        break
        timer.cancel()

    @asynccontextmanager
    async def _connected(self):
        version = aiomqtt.ProtocolVersion
        protocol = version.V5 if self.features.headers else version.V311
        async with aiomqtt.Client(self.at.hostname, self.at.port, protocol=protocol) as client:
            yield client


def _got(message):
    return Got(message, message.payload, dict(getattr(message.properties, "UserProperty", ())))
