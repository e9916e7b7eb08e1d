"""What messages of SQS, SNS and EventBridge say, whatever the client that calls AWS."""

from __future__ import annotations

import json
import re

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from otelope.core.adapter import Adapter, Site
from otelope.core.call import Call
from otelope.core.carriers import BARE
from otelope.core.message import Message
from otelope.core.sites import Operations, Receive, Send, SendMany, Settle


_ATTRIBUTES = "MessageAttributes"
_ENTRIES = "Entries"
_TOPIC_ENTRIES = "PublishBatchRequestEntries"
_NAME = re.compile(r"[^/:]*\Z")  # of a queue's URL, of an ARN
_VALUES = ("StringValue", "Value", "stringValue")  # as the API, SNS and Lambda call it
# Of SQS, and of a subscription that delivers raw: with more, SNS drops the message.
_MOST_ATTRIBUTES = 10
# Of a request. AWS takes 1 MiB since August 2025; older servers that speak its API do not.
_LONGEST = 262_144


class Attributes:
    """
    Message attributes: a mapping from name to a typed value.

    Of the fields those are written that there is room for: a message has at most 10.
    """

    headers = True

    def get(self, headers: Any, key: str) -> str | None:
        attribute = headers.get(key) if headers else None
        if not isinstance(attribute, Mapping):
            return None
        return next((attribute[n] for n in _VALUES if isinstance(attribute.get(n), str)), None)

    def keys(self, headers: Any) -> Iterable[str]:
        return list(headers) if headers else ()

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        written = dict(headers or ())
        for name, value in fields.items():
            if name in written or len(written) < _MOST_ATTRIBUTES:
                written[name] = {"DataType": "String", "StringValue": value}
        return written


def aws(make_api_call: str, *others: Site, contrib: str, of_queues: str = "") -> Adapter:
    """
    The adapter of a client that calls AWS by one function, whatever the operation.

    Args:
        make_api_call: ``module:Class.method``, with ``operation_name`` and ``api_params``.
        others: The client's own sites, for its queues.
        contrib, of_queues: OpenTelemetry's instrumentors of the client, and of SQS alone.
    """
    at = make_api_call
    topics: dict[str, Site] = {
        "sns.Publish": Send(at, lambda c: _published(c["api_params"], _topic(c)), _stamp),
        "sns.PublishBatch": SendMany(
            at,
            lambda c: [_published(entry, _topic(c)) for entry in _entries(c, _TOPIC_ENTRIES)],
            lambda c, headers: _stamp_each(c, headers, _TOPIC_ENTRIES),
            lambda answer, c: _failures(answer, c, _TOPIC_ENTRIES),
        ),
    }
    buses: dict[str, Site] = {
        "events.PutEvents": SendMany(
            at,
            lambda c: [
                Message(_last(entry.get("EventBusName")) or "default", entry.get("Detail"))
                for entry in _entries(c)
            ],
            # What EventBridge forwards has no headers.
            lambda *_: None,
            lambda answer, _: [entry.get("ErrorCode") for entry in answer.get(_ENTRIES) or ()],
        )
    }
    queues: dict[str, Site] = {
        "sqs.SendMessage": Send(at, lambda c: _sent(c["api_params"], _queue(c)), _stamp),
        "sqs.SendMessageBatch": SendMany(
            at,
            lambda c: [_sent(entry, _queue(c)) for entry in _entries(c)],
            _stamp_each,
            _failures,
        ),
        "sqs.ReceiveMessage": Receive(
            at,
            lambda answer, c: [_received(m, _queue(c)) for m in answer.get("Messages") or ()],
            shared=True,
        ),
        "sqs.DeleteMessage": Settle(at, receipts=lambda c: _receipts([c["api_params"]])),
        "sqs.DeleteMessageBatch": Settle(at, receipts=lambda c: _receipts(_entries(c))),
        "sqs.ChangeMessageVisibility": Settle(
            at, refuses=True, receipts=lambda c: _given_back([c["api_params"]])
        ),
        "sqs.ChangeMessageVisibilityBatch": Settle(
            at, refuses=True, receipts=lambda c: _given_back(_entries(c))
        ),
    }
    return Adapter(
        system="aws_sqs",
        carrier=ATTRIBUTES,
        sites=(Operations(at, _operation, queues), *others),
        contrib=f"{of_queues} {contrib}",
        message=_handed_over,
        also=tuple(
            Adapter(
                system, carrier, (Operations(at, _operation, sites),), contrib, message=message
            )
            for system, carrier, sites, message in (
                ("aws.sns", ATTRIBUTES, topics, _notified),
                ("aws.eventbridge", BARE, buses, _triggered),
            )
        ),
    )


def _operation(call: Call) -> str:
    # Names are a service's own: IoT has a Publish, and Personalize its PutEvents.
    return f"{call.instance.meta.service_model.service_name}.{call['operation_name']}"


def _stamp(call: Call, headers: Mapping[str, Any]) -> None:
    params = {**call["api_params"], _ATTRIBUTES: headers}
    if _size(params) <= _LONGEST:
        call["api_params"] = params


def _queue(call: Call) -> str | None:
    return _last(call["api_params"].get("QueueUrl"))


def _topic(call: Call) -> str | None:
    params = call["api_params"]
    return _last(params.get("TopicArn") or params.get("TargetArn"))


def _last(address: Any) -> str | None:
    found = _NAME.search(address) if isinstance(address, str) else None
    return found[0] if found else None


def _entries(call: Call, key: str = _ENTRIES) -> list[dict[str, Any]]:
    """What a batch holds; nothing of what the client is going to refuse."""
    entries = call["api_params"].get(key)
    well_formed = isinstance(entries, list | tuple) and all(type(e) is dict for e in entries)
    return list(entries) if well_formed else []


def _sent(params: Mapping[str, Any], channel: str | None) -> Message:
    return Message(channel, params.get("MessageBody"), params.get(_ATTRIBUTES))


def _published(params: Mapping[str, Any], channel: str | None) -> Message:
    text = params.get("Message")
    if params.get("MessageStructure") == "json":
        # A text for each protocol; queues get theirs.
        texts = _object(text)
        text = texts.get("sqs", texts.get("default"))
    return Message(channel, text, params.get(_ATTRIBUTES))


def _stamp_each(call: Call, headers: Sequence[Any], key: str = _ENTRIES) -> None:
    entries = [
        entry if given is None else {**entry, _ATTRIBUTES: given}
        for entry, given in zip(_entries(call, key), headers, strict=True)
    ]
    if sum(map(_size, entries)) <= _LONGEST:
        call["api_params"] = {**call["api_params"], key: entries}


def _size(params: Mapping[str, Any]) -> int:
    """What SQS and SNS count of a message: its text, and of each attribute all that it says."""
    texts = [params.get("MessageBody"), params.get("Message")]
    for name, said in (params.get(_ATTRIBUTES) or {}).items():
        texts += [name, *said.values()]
    return sum(len(text.encode() if isinstance(text, str) else text or b"") for text in texts)


def _failures(answer: Mapping[str, Any], call: Call, key: str = _ENTRIES) -> Iterable[str | None]:
    failed = {each["Id"]: each.get("Code") or "failed" for each in answer.get("Failed") or ()}
    return [failed.get(entry.get("Id")) for entry in _entries(call, key)]


def _receipts(params: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [each.get("ReceiptHandle") for each in params]


def _given_back(params: Iterable[Mapping[str, Any]]) -> list[Any]:
    # Any other time-out is only more, or less, time to handle it.
    return _receipts(each for each in params if each.get("VisibilityTimeout") == 0)


def _received(message: Mapping[str, Any], channel: str | None = None) -> Message:
    body, headers = _unwrapped(message.get("Body"), message.get(_ATTRIBUTES))
    # Told to those who ask for it.
    count = (message.get("Attributes") or {}).get("ApproximateReceiveCount")
    attempt = int(count) if count else None
    redelivered = attempt > 1 if attempt else None
    receipt = message.get("ReceiptHandle")
    return Message(channel, body, headers, None, attempt, redelivered, receipt=receipt)


def _unwrapped(body: Any, headers: Any) -> tuple[Any, Any]:
    """What SNS, without raw delivery, and EventBridge have put into a body of their own."""
    if not isinstance(body, str):
        return body, headers
    if '"TopicArn"' in body:
        notification = _object(body)
        if notification.get("Type") == "Notification":
            return _unwrapped(notification.get("Message"), notification.get(_ATTRIBUTES))
    elif '"detail-type"' in body:
        return _object(body).get("detail", body), headers
    return body, headers


def _object(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _handed_over(item: Any) -> Message | None:
    """A message as the client returns it, or boto3's resource, or a record of a Lambda event."""
    item = getattr(getattr(item, "meta", None), "data", item)
    if not isinstance(item, dict):
        return None
    if item.get("eventSource") == "aws:sqs":
        message = {name[:1].upper() + name[1:]: said for name, said in item.items()}
        return _received(message, _last(item.get("eventSourceARN")))
    return _received(item) if "ReceiptHandle" in item and "Body" in item else None


def _notified(item: Any) -> Message | None:
    """A record of a Lambda event from SNS."""
    if not isinstance(item, dict) or item.get("EventSource") != "aws:sns":
        return None
    said = item["Sns"]
    return Message(_last(said["TopicArn"]), said["Message"], said.get(_ATTRIBUTES))


def _triggered(item: Any) -> Message | None:
    """A Lambda event from EventBridge, which does not say the bus."""
    matches = isinstance(item, dict) and "detail-type" in item and "detail" in item
    return Message(None, item["detail"]) if matches else None


ATTRIBUTES = Attributes()
