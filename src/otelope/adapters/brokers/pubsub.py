"""google-cloud-pubsub: Google's Pub/Sub; streaming pull by a callback, and synchronous pull."""

from __future__ import annotations

from google.cloud.pubsub_v1.subscriber.message import Message as Streamed
from google.pubsub_v1 import PullResponse, ReceivedMessage

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites import Process, Receive, Send, Settle
from otelope.protocols.gapic import named, said


_PUBLISH = "google.cloud.pubsub_v1.publisher.client:Client.publish"
_CLIENT = "google.cloud.pubsub_v1.subscriber.client:Client"
_MESSAGE = "google.cloud.pubsub_v1.subscriber.message:Message"
_PULLS = "google.pubsub_v1.services.subscriber.client:SubscriberClient"
_ENDINGS = ("ack", "ack_with_response", "nack", "nack_with_response")


def published(call: Call) -> Message:
    return Message(named(call["topic"]), call["data"], call["attrs"])


def delivered(item: Streamed | ReceivedMessage, path: str | None = None) -> Message:
    message = item.message if isinstance(item, ReceivedMessage) else item
    attempt = item.delivery_attempt or None
    told = message.data, message.attributes, None, attempt, attempt and attempt > 1
    return Message(named(path), *told, receipt=(path, item.ack_id))


def pulled(answer: PullResponse, asked: Call) -> list[Message]:
    return [delivered(each, said(asked, "subscription")) for each in answer.received_messages]


def receipts(call: Call) -> list[tuple[str, str]]:
    # Who is to have it again, at once, sets the deadline to 0.
    path, kept = said(call, "subscription"), said(call, "ack_deadline_seconds")
    return [] if kept else [(path, ack_id) for ack_id in said(call, "ack_ids") or ()]


ADAPTER = Adapter(
    system="gcp_pubsub",
    carrier=MAPPING,
    sites=(
        Send(_PUBLISH, published, headers="attrs", future=True),
        Process(f"{_CLIENT}.subscribe", delivered, "callback", lambda c: named(c["subscription"])),
        Receive(f"{_PULLS}.pull", pulled, shared=True),
        Settle(f"{_PULLS}.acknowledge", receipts=receipts),
        Settle(f"{_PULLS}.modify_ack_deadline", refuses=True, receipts=receipts),
        *(
            Settle(f"{_MESSAGE}.{e}", "nack" in e, receipts=lambda c: [(None, c.instance.ack_id)])
            for e in _ENDINGS
        ),
        Settle(f"{_CLIENT}.close"),
    ),
    message=lambda item: delivered(item) if isinstance(item, Streamed | ReceivedMessage) else None,
)
