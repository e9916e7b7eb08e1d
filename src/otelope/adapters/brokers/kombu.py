"""kombu: RabbitMQ, Redis and what else it speaks to; callbacks, `SimpleQueue`, `Queue.get`."""

from __future__ import annotations

from kombu.message import Message as Delivered

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.callbacks import root_of
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites import Handle, Process, Receive, Send, Settle
from otelope.protocols.amqp import message_beside
from otelope.protocols.kombu_transports import channels_of, message_of, receipt_of, system_of


_CONSUMER = "kombu.messaging:Consumer"
_STEPS = ("kombu.simple:SimpleBase.get", "kombu.simple:SimpleBase.get_nowait")
_MESSAGE = "kombu.message:Message"
_ENDINGS = (("ack", False), ("reject", True), ("requeue", True))


def published(call: Call) -> Message:
    by, key = call.instance, call["routing_key"]
    exchange = call["exchange"] or by.exchange
    to = getattr(exchange, "name", exchange), by.routing_key if key is None else key
    speaks = system_of(by.connection)
    return message_beside(*to, call["headers"], call["properties"], call["body"], system=speaks)


def received(call: Call) -> Message | None:
    # A SimpleQueue keeps what comes until it is asked; what Celery receives so are no tasks.
    own = all(root_of(each) in ("kombu", "celery") for each in call.instance.callbacks)
    return None if own else message_of(call["message"], call["body"])


def got(message: Delivered | None) -> list[Message]:
    return [message_of(message)] if message is not None else []


ADAPTER = Adapter(
    system="rabbitmq",
    carrier=MAPPING,
    sites=(
        Send("kombu.messaging:Producer.publish", published),
        Handle(f"{_CONSUMER}.receive", received),
        Process(f"{_CONSUMER}.__init__", message_of, "on_message"),
        *(Receive(each, lambda message, _: got(message)) for each in _STEPS),
        Receive("kombu.entity:Queue.get", lambda message, _: got(message), lambda q: q.channel),
        *(
            Settle(f"{_MESSAGE}.{how}", no, receipts=lambda c: [receipt_of(c.instance)])
            for how, no in _ENDINGS
        ),
        Settle("kombu.simple:SimpleBase.close"),
        Settle("kombu.connection:Connection._close", consumers=channels_of),
    ),
    message=lambda item: message_of(item) if isinstance(item, Delivered) else None,
)
