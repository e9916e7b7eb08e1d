"""dramatiq against RabbitMQ and Redis: a worker's own functions, called where the test runs."""

from __future__ import annotations

import time

from contextlib import suppress
from queue import Empty, PriorityQueue

from dramatiq import Actor, Message, worker
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelope.testing import Features, Got, run_inline


SERVERS = ("rabbitmq_server", "redis_server")
# What an actor raises is noted in its message.
STYLES = {"actor": Features("rabbitmq", in_sender=True, raises=False)}
# Renamed in 2.0.
_CONSUMERS = getattr(worker, "ConsumerThread", None) or worker._ConsumerThread
_WORKERS = getattr(worker, "WorkerThread", None) or worker._WorkerThread


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address):
        of_redis = address.startswith("redis:")
        kind = RedisBroker if of_redis else RabbitmqBroker
        self.broker = kind(url=address, middleware=[CurrentMessage()])
        self.features = STYLES[style]
        if of_redis:
            self.features = Features("redis", in_sender=True, raises=False)
        self.between = lambda: None

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        message = Message(
            queue_name=channel,
            actor_name=channel,
            args=(7, body.decode()),
            kwargs={},
            options=dict(headers),
        )
        return {"message": message}

    async def send(self, *calls, positional=False):
        for call in calls:
            if positional:
                self.broker.enqueue(call["message"])
            else:
                self.broker.enqueue(**call)
        self.between()

    async def send_bare(self, channel, body):
        raw = f"{channel}_raw"
        self.broker.declare_queue(raw)
        await self.send(self.call(raw, body, {}))
        with suppress_instrumentation():
            consumer = self.broker.consume(raw, timeout=100)
            message = next(filter(None, consumer))
            consumer.ack(message)
            consumer.close()
            await self.send(self.call(channel, message.args[1].encode(), {}))

    async def send_in_vain(self, call):
        message = call["message"]
        try:
            self.broker.enqueue(message.copy(args=(*message.args, object())))
        finally:
            self.broker.close()

    async def drive(self, handlers, start, count):
        handled = []
        for channel, handler in handlers.items():
            self._declare(channel, handler, handled)
        await start()
        taken = PriorityQueue()
        threads = {}
        for channel in handlers:
            threads[channel] = consumers = _CONSUMERS(
                broker=self.broker,
                queue_name=channel,
                prefetch=1,
                work_queue=taken,
                worker_timeout=100,
            )
            consumers.consumer = self.broker.consume(channel, timeout=10)
        work = _WORKERS(
            broker=self.broker, consumers=threads, work_queue=taken, worker_timeout=100
        )
        deadline = time.monotonic() + 20
        try:
            while len(handled) < count:
                self._work(work, threads, taken)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{count - len(handled)} messages did not come")
        finally:
            for consumers in threads.values():
                consumers.close()
            self.broker.close()

    def _declare(self, channel, handler, handled):
        def act(_, body):
            message = CurrentMessage.get_current_message()
            headers = {name: value for name, value in message.options.items() if value}
            handled.append(body)
            run_inline(handler(Got(message, body.encode(), headers)))

        self.broker.actors.pop(channel, None)
        Actor(
            act, broker=self.broker, actor_name=channel, queue_name=channel, priority=0, options={}
        )

    def _work(self, work, threads, taken):
        for consumers in threads.values():
            message = next(consumers.consumer)
            if message is not None:
                consumers.handle_message(message)
        with suppress(Empty):
            item = taken.get_nowait()
            # With the message's priority; in 1.x a pair.
            work.process_message(item[1] if isinstance(item, tuple) else item.message)
