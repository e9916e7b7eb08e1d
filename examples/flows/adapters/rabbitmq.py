"""The broker port by pika: an exchange per channel, a queue per group."""

from __future__ import annotations

import signal
import threading
import traceback

from collections.abc import Callable, Sequence
from typing import Any

import pika

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from examples.flows.ports import Keyed, Unavailable
from examples.flows.steps import reached


_PERSISTENT = pika.BasicProperties(content_type="application/json", delivery_mode=2)
# On their way to a consumer that still handles another one.
_PREFETCHED = 16


class RabbitMQ:
    """
    A RabbitMQ, as one group sees it.

    A message goes to the queues that exist by then: a group's, from its first `consume` on. The
    order is that of the queue, whatever the key.

    Args:
        url: ``amqp://…``.
        group: Who consumes.
    """

    def __init__(self, url: str, group: str) -> None:
        self._parameters = pika.URLParameters(url)
        # Nobody would answer heartbeats while no message is published, or one is handled.
        self._parameters.heartbeat = 0
        self._group = group
        self._lock = threading.Lock()  # a BlockingConnection is for one thread at a time
        self._publisher: BlockingChannel | None = None

    def publish(self, channel: str, messages: Sequence[Keyed]) -> None:
        """See `Broker.publish`."""
        with self._lock:
            try:
                if self._publisher is None:
                    self._publisher = self._open()
                    self._publisher.confirm_delivery()
                self._publisher.exchange_declare(channel, "fanout", durable=True)
                for message in messages:
                    self._publisher.basic_publish(channel, "", message.body, _PERSISTENT)
            except AMQPError as error:
                self._publisher = None
                raise Unavailable(f"{channel}: {error!r}") from error

    def consume(
        self,
        channels: Sequence[str],
        handle: Callable[[bytes], None],
        hopeless: tuple[type[Exception], ...] = (),
    ) -> None:
        """See `Broker.consume`."""
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        consumer = self._open()
        # A second process of the group waits for the first to end: two would mix up the order.
        alone = {"x-single-active-consumer": True}
        consumer.queue_declare(self._group, durable=True, arguments=alone)
        for channel in channels:
            consumer.exchange_declare(channel, "fanout", durable=True)
            consumer.queue_bind(self._group, channel)
        consumer.basic_qos(prefetch_count=_PREFETCHED)
        print("ready", flush=True)
        try:
            for method, _, body in consumer.consume(self._group, inactivity_timeout=0.5):
                if method is not None:
                    _handle(consumer, method.delivery_tag, body, handle, hopeless)
                if stopped.is_set():
                    break
        finally:
            if consumer.connection.is_open:
                consumer.connection.close()

    def _open(self) -> BlockingChannel:
        return pika.BlockingConnection(self._parameters).channel()


def _handle(
    consumer: Any,
    tag: int,
    body: bytes,
    handle: Callable[[bytes], None],
    hopeless: tuple[type[Exception], ...],
) -> None:
    try:
        handle(body)
    except hopeless:
        # Acknowledged inside of the block, so that it shows as a handling that failed.
        traceback.print_exc()
        consumer.basic_ack(tag)
    else:
        consumer.basic_ack(tag)
    reached("broker: acknowledge")
