"""The broker port by pika: an exchange per channel, a queue per group."""

from __future__ import annotations

import signal
import threading
import traceback

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pika

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from examples.flows.ports import Keyed, Unavailable
from examples.flows.steps import reached


_PERSISTENT = pika.BasicProperties(content_type="application/json", delivery_mode=2)
# On their way to a consumer that still handles another one.
_PREFETCHED = 16
_SECONDS_TO_PUBLISH = 10  # while the server takes nothing because its memory or disk is full
# A second process of a group waits for the first to end: two would mix up the order.
_ALONE = {"x-single-active-consumer": True}


class RabbitMQ:
    """
    A RabbitMQ, as one group sees it.

    A message goes to the queues that exist by then, so `create_queues` comes first. The order is
    that of the queue, whatever the key. A handling that takes longer than two heartbeats (60 s
    each, unless the URL says otherwise) loses the connection, and so its message comes again.

    Args:
        url: ``amqp://…``.
        group: Who consumes.
    """

    def __init__(self, url: str, group: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.blocked_connection_timeout = _SECONDS_TO_PUBLISH
        self._group = group
        self._lock = threading.Lock()  # a BlockingConnection is for one thread at a time
        self._publisher: BlockingChannel | None = None

    def publish(self, channel: str, messages: Sequence[Keyed]) -> None:
        """See `Broker.publish`."""
        with self._lock:
            try:
                publisher = self._publisher = self._opened()
                for message in messages:
                    publisher.basic_publish(channel, "", message.body, _PERSISTENT)
            except AMQPError as error:
                self._close()
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
        _declare(consumer, self._group, channels)
        consumer.basic_qos(prefetch_count=_PREFETCHED)
        print("ready", flush=True)
        try:
            for method, _, body in consumer.consume(self._group, inactivity_timeout=0.5):
                if method is not None:
                    _handle(consumer, method, body, handle, hopeless)
                if stopped.is_set():
                    break
        finally:
            if consumer.connection.is_open:
                consumer.connection.close()

    def _open(self) -> BlockingChannel:
        return pika.BlockingConnection(self._parameters).channel()

    def _opened(self) -> BlockingChannel:
        if self._publisher is not None:
            # Heartbeats are answered only here, so the server may have closed it meanwhile.
            try:
                self._publisher.connection.process_data_events()
            except AMQPError:
                self._close()
            else:
                return self._publisher
        publisher = self._open()
        publisher.confirm_delivery()
        return publisher

    def _close(self) -> None:
        if self._publisher is not None:
            with suppress(AMQPError):
                self._publisher.connection.close()
            self._publisher = None


def create_queues(url: str, channels: Sequence[str], groups: Mapping[str, Sequence[str]]) -> None:
    """
    Make what is missing. To be called before the processes start, and for each new group.

    Args:
        url: As of `RabbitMQ`.
        channels: All of them.
        groups: To which channels each listens.
    """
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        for name in channels:
            channel.exchange_declare(name, "fanout", durable=True)
        for group, heard in groups.items():
            _declare(channel, group, heard)
    finally:
        connection.close()


def _declare(channel: BlockingChannel, group: str, heard: Sequence[str]) -> None:
    channel.queue_declare(group, durable=True, arguments=_ALONE)
    for name in heard:
        channel.queue_bind(group, name)


def _handle(
    consumer: Any,
    method: Any,
    body: bytes,
    handle: Callable[[bytes], None],
    hopeless: tuple[type[Exception], ...],
) -> None:
    try:
        handle(body)
    except hopeless:
        # Acknowledged inside of the block, so that it shows as a handling that failed.
        traceback.print_exc()
        consumer.basic_ack(method.delivery_tag)
    else:
        consumer.basic_ack(method.delivery_tag)
    reached(f"broker: acknowledge({method.exchange})")
