"""aio-pika: RabbitMQ for asyncio; callbacks, iterators, `get`, and `process()` in each."""

from __future__ import annotations

import copy

from typing import Any

from aio_pika.abc import AbstractIncomingMessage

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites import Process, Receive, Send, Settle
from otelope.protocols.amqp import amqp_message


_QUEUE = "aio_pika.queue:Queue"
_MESSAGE = "aio_pika.message:IncomingMessage"
_ENDINGS = (("ack", False), ("nack", True), ("reject", True))
# The inheriting one first, so that neither is wrapped twice: before 9.5 it has no own `__anext__`.
_ITERATORS = ("aio_pika.robust_queue:RobustQueueIterator", "aio_pika.queue:QueueIterator")


def published(call: Call) -> Message:
    message = call["message"]
    return amqp_message(call.instance.name, call["routing_key"], message, message.body)


def stamped(call: Call, headers: dict[str, Any]) -> None:
    message = copy.copy(call["message"])
    message.headers = headers
    call["message"] = message


def delivered(message: AbstractIncomingMessage) -> Message:
    to, said = (message.exchange, message.routing_key), message.redelivered
    # Each channel counts from one.
    receipt = (id(message.channel), message.delivery_tag)
    return amqp_message(*to, message, message.body, redelivered=said, receipt=receipt)


ADAPTER = Adapter(
    system="rabbitmq",
    carrier=MAPPING,
    sites=(
        Send("aio_pika.exchange:Exchange.publish", published, stamped),
        Process(f"{_QUEUE}.consume", delivered, "callback"),
        Receive(f"{_QUEUE}.get", lambda got, _: [delivered(got)] if got is not None else []),
        *(Receive(f"{each}.__anext__", lambda got, _: [delivered(got)]) for each in _ITERATORS),
        Settle("aio_pika.queue:QueueIterator.close"),
        *(
            Settle(f"{_MESSAGE}.{how}", no, receipts=lambda c: [delivered(c.instance).receipt])
            for how, no in _ENDINGS
        ),
    ),
    contrib="opentelemetry.instrumentation.aio_pika:AioPikaInstrumentor",
    message=lambda item: delivered(item) if isinstance(item, AbstractIncomingMessage) else None,
)
