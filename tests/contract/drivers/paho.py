"""paho-mqtt against Mosquitto: both versions, each quality of service, each kind of callback."""

from __future__ import annotations

import threading
import time

from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from opentelemetry.instrumentation.utils import suppress_instrumentation
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from otelope.testing import Features, Got, run_inline


SERVERS = ("mqtt_server",)
# Nobody keeps what has no quality of service; what is exactly once never comes again.
_ONCE = Features("mqtt", in_sender=True, forgets=True)
_AGAIN = replace(_ONCE, forgets=False, redelivers=True)
STYLES = {
    "QoS 0": _ONCE,
    "QoS 1": _AGAIN,
    "QoS 2": _ONCE,
    "message_callback_add": _AGAIN,
    "subclass": _AGAIN,
    "thread": replace(_AGAIN, in_sender=False),
    "3.1.1 QoS 0": replace(_ONCE, headers=False),
    "3.1.1 message_callback_add": replace(_AGAIN, headers=False),
}
_KEPT_SECONDS = 60


class Driver:
    run = staticmethod(run_inline)

    def __init__(self, style, address):
        self.style = style.removeprefix("3.1.1 ")
        self.features = STYLES[style]
        self.at = urlsplit(address)
        self.between = lambda: None
        self.qos = int(self.style[-1]) if self.style.startswith("QoS") else 1

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        call = {"topic": channel, "payload": body, "qos": self.qos}
        return {**call, "properties": user_properties(headers)} if self.features.headers else call

    async def send(self, *calls, positional=False):
        with self._connected() as client:
            for call in calls:
                self._send(client, call, positional=positional)
        self.between()

    def _send(self, client, call, *, positional=False):
        if positional:  # topic, payload, qos, retain
            topic, payload, qos, *properties = call.values()
            info = client.publish(topic, payload, qos, False, *properties)
        else:
            info = client.publish(**call)
        until(client, info.is_published)

    async def send_bare(self, channel, body):
        """What `bridge` does, where nobody hears what was sent before."""
        raw = f"{channel}/raw"
        arrived = []

        def keep(_client, _userdata, message):
            arrived.append(message.payload)

        with self._connected() as client, self._connected() as bridge:
            with suppress_instrumentation():
                bridge.on_message = keep
                self._subscribe(bridge, [raw])
            self._send(client, self.call(raw, body, {}))
            self.between()
            with suppress_instrumentation():
                until(bridge, lambda: arrived)
                self._send(client, self.call(channel, arrived[0], {}))
        self.between()

    async def send_in_vain(self, call):
        with self._connected() as client:
            self._send(client, {**call, "topic": "no/wildcard/#"})

    async def drive(self, handlers, start, count):
        handled = []

        def called(_client, _userdata, message):
            handled.append(message)
            run_inline(handlers[message.topic](_got(message)))

        name = f"otelope-{next(iter(handlers))}"
        with self._connected(name, self._kind(called)) as client:
            if self.style == "message_callback_add":
                for channel in handlers:
                    client.message_callback_add(channel, called)
            elif self.style != "subclass":
                client.on_message = called
            self._subscribe(client, handlers)
            if self.style == "thread":
                await _in_thread(client, start, lambda: len(handled) >= count)
            else:
                await start()
                until(client, lambda: len(handled) >= count)

    def _kind(self, called):
        if self.style != "subclass":
            return paho.Client

        class Consumer(paho.Client):
            def on_message(self, client, userdata, message):
                called(client, userdata, message)

        return Consumer

    def _subscribe(self, client, channels):
        subscribed = []
        client.on_subscribe = lambda *_: subscribed.append(True)
        client.subscribe([(channel, self.qos) for channel in channels])
        until(client, lambda: subscribed)

    @contextmanager
    def _connected(self, name="", kind=paho.Client):
        """A client; what comes for one with a name waits for it while it is away."""
        five = self.features.headers
        client = made(kind, name, five=five, clean_session=None if five else not name)
        if five:
            session = Properties(PacketTypes.CONNECT)
            session.SessionExpiryInterval = _KEPT_SECONDS if name else 0
            options = {"clean_start": not name, "properties": session}
        else:
            options = {}
        client.connect(self.at.hostname, self.at.port, **options)
        until(client, client.is_connected)
        try:
            yield client
        finally:
            client.disconnect()
            until(client, lambda: not client.is_connected())


def made(kind, name="", *, five, **options):
    """A client by the constructor of either generation."""
    if hasattr(paho, "CallbackAPIVersion"):
        options["callback_api_version"] = paho.CallbackAPIVersion.VERSION2
    return kind(client_id=name, protocol=paho.MQTTv5 if five else paho.MQTTv311, **options)


def user_properties(headers):
    properties = Properties(PacketTypes.PUBLISH)
    for header in headers.items():
        properties.UserProperty = header
    return properties


def until(client, condition):
    """Let a client read and write until something is so."""
    deadline = time.monotonic() + 20
    while not condition():
        client.loop(0.05)
        if time.monotonic() > deadline:
            raise TimeoutError("the broker did not answer")


async def _in_thread(client, start, done):
    """Let a client read and write in a thread of its own; raises what its callbacks raise."""
    raised = []
    stopped = threading.Event()

    def work():
        try:
            while not (stopped.is_set() and done()):
                client.loop(0.02)
        except BaseException as error:  # noqa: BLE001 - raised again, where it is awaited
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    await start()
    stopped.set()
    thread.join(20)
    if raised:
        raise raised[0]
    if thread.is_alive():
        raise TimeoutError("no message came")


def _got(message):
    properties = getattr(message, "properties", None)
    return Got(message, message.payload, dict(getattr(properties, "UserProperty", ())))
