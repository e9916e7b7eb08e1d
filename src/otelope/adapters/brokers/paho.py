"""paho-mqtt: MQTT 5 with its user properties, and 3.1.1; callbacks of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.properties import Properties

from otelope.core.adapter import Site
from otelope.core.call import Call
from otelope.core.message import Message
from otelope.core.sites import Handle, SendMany, Settle
from otelope.protocols.mqtt import calls_application, mqtt, received, sent, with_headers


_CLIENT = "paho.mqtt.client:Client"
_ABOVE = ("aiomqtt",)
_ERRORS = {value: name for name, value in vars(paho).items() if name.startswith("MQTT_ERR_")}


def stamped(call: Call, headers: Sequence[Any]) -> None:
    call["properties"] = with_headers(call["properties"], headers[0], Properties)


def failed(info: paho.MQTTMessageInfo, call: Call) -> list[str | None]:
    # What has a quality of service waits for the next connection.
    lost = info.rc == paho.MQTT_ERR_QUEUE_SIZE or not call["qos"]
    return [_ERRORS.get(info.rc) if info.rc and lost else None]


def sites(*, five: bool) -> tuple[Site, ...]:
    def published(call: Call) -> list[Message | None]:
        topic, body, properties = call["topic"], call["payload"], call["properties"]
        return [sent(call.instance, topic, body, properties, five=five)]

    def handed(call: Call) -> Message | None:
        client, message = call.instance, call["message"]
        heard = calls_application(client, message.topic, _ABOVE)
        return received(message, five=five, receipt=id(client)) if heard else None

    return (
        SendMany(f"{_CLIENT}.publish", published, stamped, failed),
        Handle(f"{_CLIENT}._handle_on_message", handed),
    )


ADAPTER = mqtt(
    sites,
    # With `suppress_exceptions`, what a callback raises comes to nothing but a line of log.
    Settle(
        f"{_CLIENT}._easy_log",
        receipts=lambda c: [id(c.instance)] if c["level"] == paho.MQTT_LOG_ERR else [],
    ),
    delivered=paho.MQTTMessage,
)
