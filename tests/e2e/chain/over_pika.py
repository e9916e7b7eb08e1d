"""The chain over pika: a callback, the `consume` generator, or `basic_get`."""

from __future__ import annotations

import signal

from collections.abc import Iterable
from typing import Any

import pika


def run(work: Any, mode: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(work.broker))
    channel = connection.channel()

    def send(messages: Iterable[Any]) -> None:
        for message in messages:
            channel.basic_publish("", message.channel, message.body)

    receive = {"callback": _called_back, "consume": _consumed, "basic_get": _got}[mode]
    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        connection.sleep(0.1)
    if not work.relays:
        receive(work, connection, channel, send)
    connection.close()


def _consumed(work: Any, _: Any, channel: Any, send: Any) -> None:
    for method, _properties, body in channel.consume(work.inbox, inactivity_timeout=0.2):
        if method is not None:
            send(work.react(body))
            channel.basic_ack(method.delivery_tag)
        if work.stopped:
            break


def _got(work: Any, connection: Any, channel: Any, send: Any) -> None:
    while not work.stopped:
        method, _properties, body = channel.basic_get(work.inbox)
        if method is None:
            connection.sleep(0.05)
        else:
            send(work.react(body))
            channel.basic_ack(method.delivery_tag)


def _called_back(work: Any, connection: Any, channel: Any, send: Any) -> None:
    def received(_: Any, method: Any, _properties: Any, body: bytes) -> None:
        send(work.react(body))
        channel.basic_ack(method.delivery_tag)

    signal.signal(
        signal.SIGTERM, lambda *_: connection.add_callback_threadsafe(channel.stop_consuming)
    )
    channel.basic_consume(work.inbox, received)
    channel.start_consuming()
