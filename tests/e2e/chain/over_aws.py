"""
What carries the chain over AWS, whichever client calls it: to a queue of the receiver's name.

`send` and `batch` send to the queue itself, `sns` to a topic that delivers in a notification,
`raw` in batches to one that does not, and `events` to an event bus.
"""

from __future__ import annotations

import json

from collections.abc import Iterable, Iterator
from typing import Any


ACCESS = {
    "region_name": "us-east-1",
    "aws_access_key_id": "otelope",
    "aws_secret_access_key": "otelope",
}
SERVICES = {"sns": "sns", "raw": "sns", "events": "events"}
ACCOUNT = "123456789012"  # moto's
TOPIC = f"arn:aws:sns:{ACCESS['region_name']}:{ACCOUNT}:"
RECEIVE = {
    "WaitTimeSeconds": 1,
    "MessageAttributeNames": ["All"],
    "AttributeNames": ["ApproximateReceiveCount"],
}


def service_of(mode: str) -> str:
    """Which of AWS's services a mode sends by."""
    return SERVICES.get(mode, "sqs")


def name_of(channel: str) -> str:
    """A channel's queue, topic or bus: their names have no dots."""
    return channel.replace(".", "-")


def url_of(broker: str, channel: str) -> str:
    """The queue of a channel."""
    return f"{broker}/{ACCOUNT}/{name_of(channel)}"


def calls(
    broker: str, mode: str, messages: Iterable[tuple[str, bytes]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The client's methods that send these, with their arguments."""
    batches: dict[str, list[str]] = {}
    for channel, body in messages:
        text = body.decode()
        if mode == "send":
            url = url_of(broker, channel)
            yield "send_message", {"QueueUrl": url, "MessageBody": text}
        elif mode == "sns":
            topic = TOPIC + name_of(channel)
            yield "publish", {"TopicArn": topic, "Message": text}
        else:
            batches.setdefault(channel, []).append(text)
    for channel, texts in batches.items():
        name = name_of(channel)
        if mode == "events":
            about = {"Source": "chain", "DetailType": "message", "EventBusName": name}
            yield "put_events", {"Entries": [{**about, "Detail": text} for text in texts]}
        elif mode == "raw":
            entries = [{"Id": str(place), "Message": text} for place, text in enumerate(texts)]
            yield (
                "publish_batch",
                {"TopicArn": TOPIC + name, "PublishBatchRequestEntries": entries},
            )
        else:
            entries = [{"Id": str(place), "MessageBody": text} for place, text in enumerate(texts)]
            url = url_of(broker, channel)
            yield "send_message_batch", {"QueueUrl": url, "Entries": entries}


def most(mode: str) -> int:
    """How many messages a service asks for at once."""
    return 10 if mode == "batch" else 1


def body_of(mode: str, message: dict[str, Any]) -> str:
    """What was sent, out of what a notification or an event has put around it."""
    if mode == "sns":
        return str(json.loads(message["Body"])["Message"])
    if mode == "events":
        return json.dumps(json.loads(message["Body"])["detail"])
    return str(message["Body"])


def deletion(url: str, message: dict[str, Any]) -> dict[str, str]:
    """What acknowledges a message."""
    return {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
