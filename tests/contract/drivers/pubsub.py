"""google-cloud-pubsub against Google's test server: streaming pull, and synchronous pull."""

from __future__ import annotations

import functools
import os
import threading
import time

from contextlib import suppress
from dataclasses import replace
from unittest.mock import patch

from google.api_core.exceptions import AlreadyExists
from google.cloud import pubsub_v1

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge


SERVERS = ("pubsub_server",)
# What has no ordering key comes in any order. Of what has one, a callback has the next one when
# the last is acknowledged, so before it ends. What one refuses may come again on the stream that
# is being closed, or only when its deadline has passed (test_pubsub.py has it come).
_CALLED = Features("gcp_pubsub", redelivers=True, ordered=False, forgets=True)
_PULLED = replace(_CALLED, polled=True, in_sender=True, forgets=False)
STYLES = {
    "callback": _CALLED,
    "callback ordered": _CALLED,
    "pull one ordered": replace(_PULLED, ordered=True),
    "pull many": replace(_PULLED, batch=500),
}
_PROJECT = "projects/otelope"


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address, whose="a service's"):
        self.style = style
        self.features = STYLES[style]
        self.address = address
        self.client = subscriber(address, whose)
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        ordered = {"ordering_key": "order 7"} if self.style.endswith("ordered") else {}
        return {"topic": topic(channel), "data": body, **ordered, **headers}

    async def send(self, *calls, positional=False):
        for call in calls:
            self._send(publisher(self.address), call, positional=positional)
        self.between()

    def _send(self, client, call, *, positional):
        if positional:
            attributes = dict(call)
            placed = [attributes.pop("topic"), attributes.pop("data")]
            placed.append(attributes.pop("ordering_key", ""))
            client.publish(*placed, **attributes).result(10)
        else:
            client.publish(**call).result(10)

    async def send_bare(self, channel, body):
        raw = f"{channel}-raw"
        make(self.address, raw)
        await self.send(self.call(raw, body, {}))
        # By pull: in the threads of callbacks nothing is suppressed.
        await bridge(Driver("pull one ordered", self.address, "the bridge's"), raw, channel)
        self.between()

    async def send_in_vain(self, call):
        await self.send({**call, "attempts": 7})

    async def drive(self, handlers, start, count):
        for channel in handlers:
            make(self.address, channel)
        if self.features.polled:
            await start()
            await self._polled(handlers, count)
        else:
            await self._called_back(handlers, start, count)

    async def _called_back(self, handlers, start, count):
        handled = threading.Semaphore(0)

        def called(channel):
            def callback(message):
                run_inline(handlers[channel](_got(message, message)))
                message.ack()
                handled.release()

            return callback

        futures = {
            channel: self.client.subscribe(
                subscription(channel), called(channel), await_callbacks_on_shutdown=True
            )
            for channel in handlers
        }
        for future in futures.values():
            future.add_done_callback(lambda _: handled.release())
        await start()
        came = all(handled.acquire(timeout=20) for _ in range(count))
        for future in futures.values():
            future.cancel()
        for future in futures.values():
            future.result(20)
        if not came:
            raise TimeoutError("the messages did not come")

    async def _polled(self, handlers, count):
        deadline = time.monotonic() + 20
        while count > 0:
            for channel in handlers:
                count -= await self._pulled(channel, handlers[channel])
                if count <= 0:
                    break
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} messages did not come")

    async def _pulled(self, channel, handler):
        at = {"subscription": subscription(channel)}
        request = {**at, "max_messages": self.features.batch}
        messages = self.client.pull(request=request).received_messages
        try:
            for message in messages:
                await handler(_got(message, message.message))
        except BaseException:
            ids = [message.ack_id for message in messages]
            self.client.modify_ack_deadline(
                request={**at, "ack_ids": ids, "ack_deadline_seconds": 0}
            )
            raise
        if messages:
            self.client.acknowledge(**at, ack_ids=[message.ack_id for message in messages])
        return len(messages)


def topic(channel):
    return f"{_PROJECT}/topics/{channel}"


def subscription(channel):
    return f"{_PROJECT}/subscriptions/{channel}"


# Never closed: what is refused is told to the broker by another thread.
@functools.cache
def publisher(address, latency=0.001, **options):
    settings = pubsub_v1.types.BatchSettings(max_latency=latency)
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True, **options)
    with patch.dict(os.environ, PUBSUB_EMULATOR_HOST=address):
        return pubsub_v1.PublisherClient(settings, options)


@functools.cache
def subscriber(address, whose, **options):
    with patch.dict(os.environ, PUBSUB_EMULATOR_HOST=address):
        return pubsub_v1.SubscriberClient(**options)


def make(address, channel):
    """A topic and a subscription to it that says how often a message has come."""
    dead = topic("dead")
    for name in (topic(channel), dead):
        with suppress(AlreadyExists):
            publisher(address).create_topic(name=name)
    with suppress(AlreadyExists):
        subscriber(address, "nobody's").create_subscription(
            request={
                "name": subscription(channel),
                "topic": topic(channel),
                "enable_message_ordering": True,
                "dead_letter_policy": {"dead_letter_topic": dead, "max_delivery_attempts": 9},
            }
        )


def _got(native, message):
    return Got(native, message.data, dict(message.attributes))
