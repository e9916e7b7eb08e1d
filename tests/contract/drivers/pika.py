"""pika against RabbitMQ: a callback, the `consume` generator, `basic_get`."""

from __future__ import annotations

import time

from contextlib import contextmanager
from dataclasses import replace

import pika

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge


SERVERS = ("rabbitmq_server",)
_ONE = Features("rabbitmq", polled=True, in_sender=True, redelivers=True)
STYLES = {
    "callback": replace(_ONE, polled=False),
    "consume": _ONE,
    "basic_get": _ONE,
}


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address):
        self.style = style
        self.parameters = pika.URLParameters(address)
        self.features = STYLES[style]
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        properties = pika.BasicProperties(headers=dict(headers)) if headers else None
        return {"exchange": "", "routing_key": channel, "body": body, "properties": properties}

    async def send(self, *calls, positional=False):
        with self._open() as channel:
            for call in calls:
                if positional:  # exchange, routing_key, body, properties
                    channel.basic_publish(*call.values())
                else:
                    channel.basic_publish(**call)
        self.between()

    async def send_bare(self, channel, body):
        with self._open() as open_channel:
            self._declare(open_channel, f"{channel}.raw")
        await self.send(self.call(f"{channel}.raw", body, {}))
        await bridge(self, f"{channel}.raw", channel)
        self.between()

    async def send_in_vain(self, call):
        with self._open() as channel:
            channel.close()
            channel.basic_publish(**call)

    async def drive(self, handlers, start, count):
        with self._open() as channel:
            for queue in handlers:
                self._declare(channel, queue)
            await start()
            deadline = time.monotonic() + 20
            for handled in getattr(self, f"_{self.style}")(channel, handlers) if count else ():
                count -= handled
                if not count:
                    return
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{count} messages did not come")

    def _callback(self, channel, handlers):
        handled = []

        def callback(channel, *got):
            handled.append(self._handle(channel, handlers, got))

        for queue in handlers:
            channel.basic_consume(queue, callback)
        while True:
            channel.connection.process_data_events(time_limit=0.05)
            yield len(handled)
            handled.clear()

    def _consume(self, channel, handlers):
        # A channel has one such generator.
        channels = {queue: channel.connection.channel() for queue in handlers}
        received = {q: c.consume(q, inactivity_timeout=0.01) for q, c in channels.items()}
        while True:
            for queue, generator in received.items():
                got = next(generator)
                yield got[0] is not None and self._handle(channels[queue], handlers, got)

    def _basic_get(self, channel, handlers):
        while True:
            for queue in handlers:
                got = channel.basic_get(queue)
                yield got[0] is not None and self._handle(channel, handlers, got)

    def _handle(self, channel, handlers, got):
        method, properties, body = got
        run_inline(handlers[method.routing_key](Got(got, body, properties.headers or {})))
        channel.basic_ack(method.delivery_tag)
        return True

    def _declare(self, channel, queue):
        channel.queue_declare(queue, arguments={"x-expires": 60_000})

    @contextmanager
    def _open(self):
        connection = pika.BlockingConnection(self.parameters)
        try:
            yield connection.channel()
        finally:
            connection.close()
