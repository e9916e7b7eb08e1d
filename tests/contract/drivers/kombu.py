"""kombu against RabbitMQ and Redis: callbacks, `on_message`, `SimpleQueue` and `Queue.get`."""

from __future__ import annotations

import time

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.simple import SimpleQueue

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import bridge


SERVERS = ("rabbitmq_server", "redis_server")
_CALLED = Features("rabbitmq", in_sender=True, redelivers=True)
_ASKED = replace(_CALLED, polled=True)
STYLES = {
    "callback": _CALLED,
    "on_message": _CALLED,
    "simple": _ASKED,
    "simple_no_wait": _ASKED,
    "get": _ASKED,
}
_OPTIONS = {"polling_interval": 0.01}


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address):
        self.style = style
        self.address = address
        self.of_redis = address.startswith("redis:")
        system = "redis" if self.of_redis else "rabbitmq"
        self.features = replace(STYLES[style], system=system)
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        how = {"content_type": "application/data", "content_encoding": "binary"}
        return {"body": body, "routing_key": channel, **how, "headers": dict(headers) or None}

    async def send(self, *calls, positional=False):
        with self._open() as connection:
            producer = connection.Producer()
            for call in calls:
                if positional:
                    others = {k: v for k, v in call.items() if k not in ("body", "routing_key")}
                    producer.publish(call["body"], call["routing_key"], **others)
                else:
                    producer.publish(**call)
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}.raw"
        with self._open() as connection:
            self._queue(raw)(connection).declare()
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        with self._open() as connection:
            channel = connection.channel()
            producer = Producer(channel)
            if self.of_redis:  # whose closed channels send all the same
                producer.publish(**{**call, "compression": "of nobody"})
            channel.close()
            producer.publish(**call)

    async def drive(self, handlers, start, count):
        with self._open() as connection:
            for name in handlers:
                self._queue(name)(connection).declare()
            await start()
            deadline = time.monotonic() + 20
            with ExitStack() as closing:
                take = getattr(self, f"_{self.style}")
                for handled in take(connection, handlers, closing) if count else ():
                    count -= handled
                    if not count:
                        return
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"{count} messages did not come")

    def _callback(self, connection, handlers, closing, *, raw=False):
        handled = []

        def received(message):
            handled.append(self._handle(message, handlers))

        takes = (
            {"on_message": received}
            if raw
            else {"callbacks": [lambda body, message: received(message)]}
        )
        queues = [self._queue(name) for name in handlers]
        closing.enter_context(
            Consumer(connection, queues, accept=["json"], prefetch_count=1, **takes)
        )
        while True:
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.05)
            yield len(handled)
            handled.clear()

    def _on_message(self, connection, handlers, closing):
        return self._callback(connection, handlers, closing, raw=True)

    def _simple(self, connection, handlers, closing, **options):
        queues = [
            closing.enter_context(SimpleQueue(connection.channel(), self._queue(name)))
            for name in handlers
        ]
        options = options or {"timeout": 0.05}
        while True:
            for queue in queues:
                try:
                    message = queue.get(**options)
                except queue.Empty:
                    yield 0
                else:
                    yield self._handle(message, handlers)

    def _simple_no_wait(self, connection, handlers, closing):
        return self._simple(connection, handlers, closing, block=False)

    def _get(self, connection, handlers, closing):
        queues = [self._queue(name)(connection.channel()) for name in handlers]
        while True:
            for queue in queues:
                message = queue.get(accept=["json"])
                yield message is not None and self._handle(message, handlers)

    def _handle(self, message, handlers):
        body = message.body
        body = body.encode() if isinstance(body, str) else body
        try:
            run_inline(
                handlers[message.delivery_info["routing_key"]](Got(message, body, message.headers))
            )
        except BaseException:
            # RabbitMQ would hand it over again, at once, to the consumer that is being closed.
            if self.features.polled or self.of_redis:
                message.requeue()
            raise
        message.ack()
        return True

    def _queue(self, name):
        # The exchange without a name goes to the queue of that name.
        return Queue(name, Exchange(""), name, expires=None if self.of_redis else 60)

    @contextmanager
    def _open(self):
        with Connection(self.address, transport_options=_OPTIONS if self.of_redis else {}) as it:
            yield it
