"""nats-py: NATS core with requests and replies, and JetStream, pushed and pulled."""

from __future__ import annotations

import re

from typing import Any

from msgspec.structs import replace
from nats.aio.msg import Msg

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites import Process, Receive, Send, Settle


_CLIENT = "nats.aio.client:Client"
_CORE = "nats.aio.subscription:Subscription"
_STEPS = (f"{_CORE}.next_msg", "nats.aio.subscription:_SubscriptionMessageIterator.__anext__")
_STREAMS = "nats.js.client:JetStreamContext"
_FETCH = f"{_STREAMS}.PullSubscription.fetch"
_MSG = "nats.aio.msg:Msg"
_ACKS = (("ack", False), ("ack_sync", False), ("nak", True), ("term", True))
_INBOX = re.compile(r"^_INBOX\..*")  # each request has one of its own


def published(call: Call) -> Message:
    return Message(_INBOX.sub("_INBOX", call["subject"]), call["payload"], call["headers"])


def delivered(msg: Msg) -> Message:
    attempt = msg.metadata.num_delivered if msg.reply.startswith("$JS.ACK.") else None
    message = Message(_INBOX.sub("_INBOX", msg.subject), msg.data, msg.headers, receipt=msg.reply)
    return replace(message, attempt=attempt, redelivered=attempt > 1) if attempt else message


def core(end: Any) -> Any:
    return getattr(end, "_sub", end)  # the subscription that iterators and JetStream's stand on


ADAPTER = Adapter(
    system="nats",
    carrier=MAPPING,
    sites=(
        *(Send(f"{each}.publish", published) for each in (_CLIENT, _STREAMS)),
        # Old style: the request drops its headers, its publish does not.
        Send(f"{_CLIENT}.request", lambda c: None if c["old_style"] else published(c)),
        Receive(f"{_CLIENT}.request", lambda msg, _: [delivered(msg)], at_once=True),
        Process(f"{_CLIENT}.subscribe", delivered, "cb"),
        Process(f"{_STREAMS}.subscribe_bind", delivered, "cb"),
        *(Receive(each, lambda m, _: [delivered(m)], core, shared=True) for each in _STEPS),
        Receive(_FETCH, lambda msgs, _: map(delivered, msgs), core, through=core, shared=True),
        *(Settle(f"{_MSG}.{how}", no, receipts=lambda c: [c.instance.reply]) for how, no in _ACKS),
        Settle(f"{_CORE}._stop_processing", consumers=lambda sub: [core(sub)]),
        Settle(f"{_CLIENT}._close", consumers=lambda client: list(vars(client)["_subs"].values())),
    ),
    message=lambda item: delivered(item) if isinstance(item, Msg) else None,
)
