"""aiomqtt, paho-mqtt for asyncio: MQTT 5 with its user properties, and 3.1.1."""

from __future__ import annotations

from typing import Any

from aiomqtt import Client, client
from aiomqtt import Message as Delivered
from paho.mqtt.properties import Properties

from otelope.core.adapter import Site
from otelope.core.call import Call
from otelope.core.message import Message
from otelope.core.sites import Iterate, Receive, Send, Settle
from otelope.protocols.mqtt import mqtt, received, sent, with_headers


_CLIENT = "aiomqtt.client:Client"
# Within the class in 2.3.0; a generator before.
_ITERATOR = getattr(client, "MessagesIterator", getattr(Client, "MessagesIterator", None))


def stamped(call: Call, headers: Any) -> None:
    call["properties"] = with_headers(call["properties"], headers, Properties)


def sites(*, five: bool) -> tuple[Site, ...]:
    def published(call: Call) -> Message | None:
        topic, body, properties = call["topic"], call["payload"], call["properties"]
        return sent(vars(call.instance)["_client"], topic, body, properties, five=five)

    def messages(message: Delivered, _: Call) -> list[Message]:
        return [found] if (found := received(message, five=five)) else []

    publish = Send(f"{_CLIENT}.publish", published, stamped)
    if _ITERATOR is None:
        return publish, Iterate(f"{_CLIENT}._messages", messages)
    step = f"aiomqtt.client:{_ITERATOR.__qualname__}.__anext__"
    return publish, Receive(step, messages, lambda steps: vars(steps)["_client"], shared=True)


ADAPTER = mqtt(sites, Settle(f"{_CLIENT}.__aexit__", early=True), delivered=Delivered)
