"""The chain over boto3, which stands on botocore, in the modes of `over_aws`."""

from __future__ import annotations

import time

from collections.abc import Iterable
from typing import Any

import boto3
import over_aws


def run(work: Any, mode: str) -> None:
    to = {**over_aws.ACCESS, "endpoint_url": work.broker}
    sender = boto3.client(over_aws.service_of(mode), **to)
    sqs = boto3.client("sqs", **to)

    def send(messages: Iterable[Any]) -> None:
        for method, params in over_aws.calls(work.broker, mode, messages):
            getattr(sender, method)(**params)

    send(work.first())
    while work.relays and not work.stopped:
        send(work.due())
        time.sleep(0.1)
    url = over_aws.url_of(work.broker, work.inbox)
    most = over_aws.most(mode)
    while not work.stopped:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=most, **over_aws.RECEIVE)
        for message in answer.get("Messages", []):
            send(work.react(over_aws.body_of(mode, message).encode()))
            sqs.delete_message(**over_aws.deletion(url, message))
