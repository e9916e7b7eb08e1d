"""How messages go to a queue of AWS and out of it, by a client whose calls may be awaited."""

from __future__ import annotations

import json
import time

from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from dataclasses import replace

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelope.testing import Features, Got
from otelope.testing.driver import bridge
from tests.contract.stores import awaited


ACCESS = {
    "region_name": "us-east-1",
    "aws_access_key_id": "otelope",
    "aws_secret_access_key": "otelope",
}
_ACCOUNT = "123456789012"  # moto's
_LARGEST_BATCH = 10  # of SQS, SNS and EventBridge
_QUEUE = Features("aws_sqs", polled=True, in_sender=True, redelivers=True)
_TOPIC = replace(_QUEUE, system="aws.sns", receiving="aws_sqs")
STYLES = {
    "send": _QUEUE,
    "send batch": replace(_QUEUE, batch=_LARGEST_BATCH),
    "sns": _TOPIC,
    "sns raw batch": replace(_TOPIC, batch=_LARGEST_BATCH),
    "events": replace(
        _TOPIC, system="aws.eventbridge", batch=_LARGEST_BATCH, headers=False, json_only=True
    ),
}


def arn(service, name):
    return f"arn:aws:{service}:{ACCESS['region_name']}:{_ACCOUNT}:{name}"


class Queues(ABC):
    """
    One style of use; its subclasses make the clients.

    A queue of the channel's name receives what is sent to it, to the topic or to the event bus of
    that name.
    """

    def __init__(self, style, address):
        self.style = style
        self.address = address
        self.features = STYLES[style]
        self.between = lambda: None
        self.batches = self.features.batch > 1
        self._clients = {}
        self.service = {"sns": "sns", "events": "events"}.get(style.split()[0], "sqs")

    def destination(self, channel):
        return channel

    def call(self, channel, body, headers):
        attributes = {n: {"DataType": "String", "StringValue": v} for n, v in headers.items()}
        extra = {"MessageAttributes": attributes} if attributes else {}
        text = body.decode()
        if self.service == "sns":
            return {"TopicArn": arn("sns", channel), "Message": text, **extra}
        if self.service == "events":
            about = {"Source": "shop", "DetailType": "message"}
            return {"EventBusName": channel, "Detail": text, **about}
        return {"QueueUrl": self._url(channel), "MessageBody": text, **extra}

    async def send(self, *calls, positional=False):
        async with self._client(self.service) as client:
            for operation, params in self._operations(calls):
                await _said(client, operation, params, positional=positional)
        self.between()

    def _operations(self, calls):
        if not self.batches:
            operation = "Publish" if self.service == "sns" else "SendMessage"
            return [(operation, call) for call in calls]
        operations = []
        for first in range(0, len(calls), _LARGEST_BATCH):
            part = calls[first : first + _LARGEST_BATCH]
            if self.service == "events":
                operations.append(("PutEvents", {"Entries": list(part)}))
                continue
            to = "TopicArn" if self.service == "sns" else "QueueUrl"
            entries = [
                {"Id": str(place), **{n: said for n, said in call.items() if n != to}}
                for place, call in enumerate(part)
            ]
            name = "PublishBatchRequestEntries" if self.service == "sns" else "Entries"
            operation = "PublishBatch" if self.service == "sns" else "SendMessageBatch"
            operations.append((operation, {to: part[0][to], name: entries}))
        return operations

    async def send_bare(self, channel, body):
        raw = f"{channel}raw"
        await self._make(raw)
        await self.send(self.call(raw, body, {}))
        await bridge(self, raw, channel)
        self.between()

    async def send_in_vain(self, call):
        if self.service == "events":
            await self.send({**call, "Nothing": "is called so"})
        else:
            to = "TopicArn" if self.service == "sns" else "QueueUrl"
            await self.send({**call, to: f"{call[to]}-is-not-there"})

    async def drive(self, handlers, start, count):
        # What receives has no other word to say: it is a client of its own.
        async with (
            self._client("sqs"),
            self._client(self.service),
            self._connected("sqs") as client,
        ):
            for channel in handlers:
                await self._make(channel)
            await start()
            deadline = time.monotonic() + 20
            while count > 0:
                for channel in handlers:
                    count -= await self._received(client, channel, handlers[channel])
                    if count <= 0:
                        break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{count} messages did not come")

    async def _received(self, client, channel, handler):
        url = self._url(channel)
        answer = await awaited(
            client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=self.features.batch,
                MessageAttributeNames=["All"],
                AttributeNames=["ApproximateReceiveCount"],
            )
        )
        messages = answer.get("Messages", [])
        for message in messages:
            try:
                await handler(self._got(message))
            except BaseException:
                await awaited(
                    client.change_message_visibility(
                        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                    )
                )
                raise
        handles = [{"ReceiptHandle": message["ReceiptHandle"]} for message in messages]
        if handles and self.batches:
            entries = [{"Id": str(place), **handle} for place, handle in enumerate(handles)]
            await awaited(client.delete_message_batch(QueueUrl=url, Entries=entries))
        elif handles:
            await awaited(client.delete_message(QueueUrl=url, **handles[0]))
        return len(messages)

    def _got(self, message):
        if self.service == "events":
            return Got(message, json.dumps(json.loads(message["Body"])["detail"]).encode(), {})
        body, attributes, value = message["Body"], message.get("MessageAttributes"), "StringValue"
        if self.service == "sns" and "raw" not in self.style:
            notification = json.loads(body)
            body, attributes = notification["Message"], notification.get("MessageAttributes")
            value = "Value"
        headers = {name: said[value] for name, said in (attributes or {}).items()}
        return Got(message, body.encode(), headers)

    async def _make(self, channel):
        with suppress_instrumentation():
            async with self._client("sqs") as sqs:
                await awaited(sqs.create_queue(QueueName=channel))
            queue = arn("sqs", channel)
            if self.service == "sns":
                async with self._client("sns") as sns:
                    await awaited(sns.create_topic(Name=channel))
                    raw = {"RawMessageDelivery": str("raw" in self.style).lower()}
                    to = {"TopicArn": arn("sns", channel), "Protocol": "sqs", "Endpoint": queue}
                    await awaited(sns.subscribe(**to, Attributes=raw))
            elif self.service == "events":
                await self._make_bus(channel, queue)

    async def _make_bus(self, channel, queue):
        async with self._client("events") as events:
            if (await awaited(events.list_event_buses(NamePrefix=channel)))["EventBuses"]:
                return
            await awaited(events.create_event_bus(Name=channel))
            every = json.dumps({"source": ["shop"]})
            rule = {"EventBusName": channel, "Rule": channel}
            await awaited(events.put_rule(Name=channel, EventBusName=channel, EventPattern=every))
            await awaited(events.put_targets(**rule, Targets=[{"Id": "queue", "Arn": queue}]))

    def _url(self, channel):
        return f"{self.address}/{_ACCOUNT}/{channel}"

    @asynccontextmanager
    async def _client(self, service):
        if service in self._clients:
            yield self._clients[service]
            return
        async with self._connected(service) as client:
            self._clients[service] = client
            try:
                yield client
            finally:
                del self._clients[service]

    @abstractmethod
    def _connected(self, service):
        """A client of this service, as an asynchronous context."""


async def _said(client, operation, params, *, positional):
    if positional:
        # Their methods take names alone, and pass them on by position.
        return await awaited(client._make_api_call(operation_name=operation, api_params=params))
    method = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
    return await awaited(getattr(client, method)(**params))
