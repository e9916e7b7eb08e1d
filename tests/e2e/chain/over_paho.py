"""
The chain over paho-mqtt, of MQTT 5 or 3.1.1.

By `on_message` with a quality of service from 0 to 2, or by `message_callback_add`; read by the
service itself, or by a `thread` of paho's.
"""

from __future__ import annotations

import time

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt import client as paho


# The broker keeps nothing for those who come later, but one retained message of a topic.
RECEIVERS = ("orders", "payments", "shop")
UP = "/up"


def run(work: Any, mode: str) -> None:
    client = made(five="3.1.1" not in mode)
    at = urlsplit(work.broker)
    client.connect(at.hostname, at.port)
    if "thread" in mode:
        client.loop_start()
        service = Service(work, mode, client, partial(time.sleep, 0.05))
    else:
        service = Service(work, mode, client, partial(client.loop, 0.1))
    service.until(client.is_connected)
    while work.relays and not work.stopped:
        service.send(work.due())
        service.read()
    if not work.relays:
        service.receive()
    client.disconnect()
    service.until(lambda: not client.is_connected())
    client.loop_stop()


def made(*, five: bool) -> paho.Client:
    """A client by the constructor of either generation."""
    versions = getattr(paho, "CallbackAPIVersion", None)
    options = {"callback_api_version": versions.VERSION2} if versions else {}
    return paho.Client(protocol=paho.MQTTv5 if five else paho.MQTTv311, **options)


class Service:
    """One service's client, how it lets that read, and its way of sending and receiving."""

    def __init__(self, work: Any, mode: str, client: Any, read: Callable[[], Any]) -> None:
        self.work = work
        self.mode = mode
        self.client = client
        self.read = read
        self.qos = int(mode[-1]) if "QoS" in mode else 1

    def until(self, condition: Callable[[], Any]) -> None:
        """Read until something is so."""
        while not condition():
            self.read()

    def send(self, messages: Iterable[Any]) -> None:
        for message in messages:
            # Not awaited: in a callback, what would read the answer is what called it.
            self.client.publish(message.channel, message.body, self.qos)

    def received(self, _client: Any, _userdata: Any, message: Any) -> None:
        self.send(self.work.react(message.payload))

    def receive(self) -> None:
        inbox = self.work.inbox
        run = inbox.removesuffix(self.work.service)
        subscribed, up = [], set()
        self.client.on_subscribe = lambda *_: subscribed.append(True)
        self.client.message_callback_add(f"+{UP}", lambda *args: up.add(args[-1].topic))
        if "message_callback_add" in self.mode:
            self.client.message_callback_add(inbox, self.received)
        else:
            self.client.on_message = self.received
        ups = [(f"{run}{receiver}{UP}", 1) for receiver in RECEIVERS]
        self.client.subscribe([(inbox, self.qos), *ups])
        self.until(lambda: subscribed)
        self.client.publish(f"{inbox}{UP}", b"up", 1, retain=True)
        self.until(lambda: len(up) == len(ups) or self.work.stopped)
        self.send(self.work.first())
        self.until(lambda: self.work.stopped)
