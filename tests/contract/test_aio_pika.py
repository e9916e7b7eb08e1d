"""What only aio-pika has: replies, messages that are settled themselves, all their properties."""

from __future__ import annotations

import asyncio

from contextlib import asynccontextmanager

import aio_pika
import pytest

from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelope

from otelope.testing.messages import follow, make, new_channel
from otelope.testing.spans import parent


pytestmark = pytest.mark.rabbitmq


def told(service):
    return [(d.envelope.id, d.outcome, d.attempt, d.redelivered) for d in service.deliveries()]


@asynccontextmanager
async def opened(address, **arguments):
    """A channel, and the name of a queue of its own."""
    async with await aio_pika.connect(address) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(
            new_channel(), durable=True, arguments={"x-expires": 60_000, **arguments}
        )
        yield channel, queue


def test_reply_is_in_the_tree_of_its_request(service, rabbitmq_server):
    request, replies = make(), []

    async def call():
        async with opened(rabbitmq_server) as (channel, queue):
            answers = await channel.declare_queue(exclusive=True)

            async def answer(message):
                async with message.process():
                    reply = follow(message.body)
                    replies.append(reply)
                    await channel.default_exchange.publish(
                        aio_pika.Message(reply.body, correlation_id=message.correlation_id),
                        message.reply_to,
                    )

            await queue.consume(answer)
            await channel.default_exchange.publish(
                aio_pika.Message(request.body, reply_to=answers.name, correlation_id="7"),
                queue.name,
            )
            async with answers.iterator() as messages:
                message = await anext(messages)
                async with message.process():
                    return message.correlation_id, otelope.current().id

    assert asyncio.run(asyncio.wait_for(call(), 20)) == ("7", replies[0].id)
    assert service.shapes() == [
        [
            "PlaceOrder",
            "  process PlaceOrder",
            "    OrderPlaced",
            "      process OrderPlaced",
        ]
    ]


def test_what_is_fetched_ahead_and_given_back_is_not_what_failed(service, rabbitmq_server):
    sent = [make() for _ in range(3)]

    async def consume():
        async with opened(rabbitmq_server) as (channel, queue):
            for each in sent:
                message = aio_pika.Message(each.body)
                await channel.default_exchange.publish(message, queue.name)
            async with queue.iterator(no_ack=False) as messages:
                async for message in messages:
                    await message.ack()
                    break
            for _ in sent[1:]:
                async with (await queue.get()).process():
                    pass

    asyncio.run(asyncio.wait_for(consume(), 20))
    assert [d[:2] for d in told(service)] == [(each.id, "ok") for each in sent]


def test_requeued_message_is_handled_again_and_counted(service, rabbitmq_server):
    sent, failures = make(), [ValueError("not now"), ValueError("nor now")]
    done = asyncio.Event()

    async def consume():
        async with opened(rabbitmq_server, **{"x-queue-type": "quorum"}) as (channel, queue):

            async def received(message):
                async with message.process(requeue=True):
                    if failures:
                        raise failures.pop()
                done.set()

            await queue.consume(received)
            await channel.default_exchange.publish(aio_pika.Message(sent.body), queue.name)
            await done.wait()

    asyncio.run(asyncio.wait_for(consume(), 20))
    assert told(service) == [
        (sent.id, "error", None, False),
        (sent.id, "error", 2, True),
        (sent.id, "ok", 3, True),
    ]
    assert [d.error_type for d in service.deliveries()] == ["ValueError", "ValueError", None]
    assert [parent(span) for span in service.spans("process")] == [sent.spot] * 3
    assert len(service.envelopes()) == 1


@pytest.mark.parametrize("requeue", [False, True])
def test_poison_message_is_refused_and_said_to_be(service, rabbitmq_server, requeue):
    sent = make()

    async def consume():
        async with opened(rabbitmq_server) as (channel, queue):
            await channel.default_exchange.publish(aio_pika.Message(sent.body), queue.name)
            await (await queue.get()).reject(requeue=requeue)
            left = await queue.get(fail=False)
            if left is not None:
                await left.nack(requeue=False)
            return left

    left = asyncio.run(asyncio.wait_for(consume(), 20))
    assert (left is not None) == requeue
    assert [(d.outcome, d.error_type) for d in service.deliveries()] == [("error", "rejected")] * (
        1 + requeue
    )


def test_message_is_sent_with_all_its_properties(service, rabbitmq_server):
    given = {
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "delivery_mode": aio_pika.DeliveryMode.PERSISTENT,
        "priority": 3,
        "correlation_id": "6",
        "reply_to": "answers",
        "expiration": 60,
        "message_id": "7",
        "timestamp": 1_795_000_000,
        "type": "place",
        "user_id": "guest",
        "app_id": "shop",
    }

    async def pass_on():
        async with opened(rabbitmq_server) as (channel, queue):
            message = aio_pika.Message(make().body, headers={"a": 1}, **given)
            with suppress_instrumentation():
                await channel.default_exchange.publish(message, queue.name)
                plainly = await queue.get(no_ack=True)
            await channel.default_exchange.publish(message, queue.name)
            with suppress_instrumentation():
                # What was received may be sent on as it is.
                ours = await queue.get(no_ack=True)
            await channel.default_exchange.publish(ours, queue.name)
            with suppress_instrumentation():
                return message, [plainly, ours, await queue.get(no_ack=True)]

    sent, received = asyncio.run(asyncio.wait_for(pass_on(), 20))
    assert sent.headers == {"a": 1}
    assert len(service.spans("send")) == 2
    for message in received:
        assert {name: getattr(message, name) for name in given} == {
            name: getattr(received[0], name) for name in given
        }
        assert message.headers["a"] == 1
    assert [set(m.headers) - {"a"} for m in received] == [
        set(),
        *[{"traceparent", "tracestate"}] * 2,
    ]
