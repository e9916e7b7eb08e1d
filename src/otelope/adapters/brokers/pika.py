"""pika: RabbitMQ; callbacks, the `consume` generator and `basic_get`."""

from __future__ import annotations

import copy

from typing import Any

from pika.spec import BasicProperties

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites import Iterate, Process, Receive, Send, Settle
from otelope.protocols.amqp import amqp_message


_BLOCKING = "pika.adapters.blocking_connection:BlockingChannel"
_CHANNEL = "pika.channel:Channel"
_BOTH = (_BLOCKING, _CHANNEL)


def published(call: Call) -> Message:
    return amqp_message(call["exchange"], call["routing_key"], call["properties"], call["body"])


def stamped(call: Call, headers: dict[str, Any]) -> None:
    properties = copy.copy(call["properties"]) or BasicProperties()
    properties.headers = headers
    call["properties"] = properties


def delivered(_: Any, method: Any, properties: BasicProperties, body: bytes) -> Message:
    to = (method.exchange, method.routing_key)
    return amqp_message(*to, properties, body, redelivered=method.redelivered)


def got(item: Any, _: Call | None = None) -> list[Message]:
    match item:
        case (method, BasicProperties() as properties, body):
            return [delivered(None, method, properties, body)]
    return []


ADAPTER = Adapter(
    system="rabbitmq",
    carrier=MAPPING,
    sites=(
        Send(f"{_CHANNEL}.basic_publish", published, stamped),
        *(Process(f"{c}.basic_consume", delivered, "on_message_callback") for c in _BOTH),
        Iterate(f"{_BLOCKING}.consume", got),
        Receive(f"{_BLOCKING}.basic_get", got),
        *(Settle(f"{_BLOCKING}.{name}") for name in ("basic_ack", "close")),
        *(Settle(f"{_BLOCKING}.basic_{how}", refuses=True) for how in ("nack", "reject")),
    ),
    contrib="opentelemetry.instrumentation.pika:PikaInstrumentor",
    message=lambda item: next(iter(got(item)), None),
)
