"""The chain over aiobotocore, in the modes of `over_aws`."""

from __future__ import annotations

import asyncio

from collections.abc import Iterable
from typing import Any

import over_aws

from aiobotocore.session import get_session


def run(work: Any, mode: str) -> None:
    work.run_until_cancelled(_work(work, mode))


async def _work(work: Any, mode: str) -> None:
    to = {**over_aws.ACCESS, "endpoint_url": work.broker}
    session = get_session()
    service = over_aws.service_of(mode)
    async with (
        session.create_client(service, **to) as sender,
        session.create_client("sqs", **to) as sqs,
    ):

        async def send(messages: Iterable[Any]) -> None:
            for method, params in over_aws.calls(work.broker, mode, messages):
                await getattr(sender, method)(**params)

        await send(work.first())
        while work.relays:
            await send(work.due())
            await asyncio.sleep(0.1)
        url = over_aws.url_of(work.broker, work.inbox)
        asked = {"QueueUrl": url, "MaxNumberOfMessages": over_aws.most(mode), **over_aws.RECEIVE}
        while True:
            answer = await sqs.receive_message(**asked)
            for message in answer.get("Messages", []):
                await send(work.react(over_aws.body_of(mode, message).encode()))
                await sqs.delete_message(**over_aws.deletion(url, message))
