"""
Whether memory stays flat and every span ends, however many messages pass through a process.

One process per client library sends to a real broker and receives what it sent, by turns of 100,
each message an envelope; memory after a fifth of the messages and after all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from tests.e2e.servers.apache_kafka import apache_kafka
from tests.e2e.servers.nats import nats
from tests.e2e.servers.rabbitmq import rabbitmq
from tests.e2e.servers.redis import redis


MESSAGES = 200_000 if os.environ.get("LARGE", "0") not in ("", "0") else 50_000
TURN = 100
SERVERS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "confluent_kafka": apache_kafka,
    "aio_pika": rabbitmq,
    "nats": nats,
    "redis": redis,
}

_CHILD = """
import asyncio, gc, json, os, sys
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
import otelope
from benchmarks.application import body
library, address, turns, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
opened = ended = records = 0
class Count(SpanProcessor):
    def on_start(self, span, parent_context=None):
        global opened
        opened += 1
    def on_end(self, span):
        global ended
        ended += 1
def record(_):
    global records
    records += 1
provider = TracerProvider()
provider.add_span_processor(Count())
otelope.instrument(tracer_provider=provider, recorder=record)

def confluent_kafka():
    from confluent_kafka import Consumer, Producer
    producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
    consumer = Consumer({"bootstrap.servers": address, "group.id": "soak",
                         "auto.offset.reset": "earliest"})
    producer.list_topics("soak", timeout=30)
    consumer.subscribe(["soak"])
    for _ in range(turns):
        for _ in range(size):
            producer.produce("soak", body())
        producer.flush()
        got = 0
        while got < size:
            message = consumer.poll(1)
            got += message is not None and message.error() is None
        yield
    consumer.close()

async def aio_pika():
    import aio_pika
    async with await aio_pika.connect(address) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("soak", auto_delete=True)
        async with queue.iterator() as messages:
            for _ in range(turns):
                for _ in range(size):
                    await channel.default_exchange.publish(aio_pika.Message(body()), "soak")
                for _ in range(size):
                    async with (await messages.__anext__()).process():
                        pass
                yield

async def nats():
    import nats
    async with await nats.connect(address) as client:
        subscription = await client.subscribe("soak")
        for _ in range(turns):
            for _ in range(size):
                await client.publish("soak", body())
            for _ in range(size):
                await subscription.next_msg(timeout=30)
            yield
        await subscription.unsubscribe()

def redis():
    from redis import Redis
    with Redis.from_url(address) as client:
        for _ in range(turns):
            for _ in range(size):
                client.rpush("soak", body())
            for _ in range(size):
                client.blpop(["soak"], 30)
            yield
        client.delete("soak")

def memory():
    gc.collect()
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGESIZE")

async def every(steps):
    if hasattr(steps, "__aiter__"):
        async for _ in steps:
            yield
    else:
        for _ in steps:
            yield

async def main():
    turn = 0
    async for _ in every(globals()[library]()):
        turn += 1
        if turn == turns // 5:
            first = memory()
    last = memory()
    otelope.uninstrument()
    print(json.dumps([last / first, opened - ended, records / (turns * size)]))

asyncio.run(main())
"""


def run() -> Iterable[dict[str, Any]]:
    """For each library: memory in the end by that after a fifth, spans left open, records."""
    for library, server in SERVERS.items():
        with server() as address:
            command = [sys.executable, "-c", _CHILD, library, address]
            sizes = [str(MESSAGES // TURN), str(TURN)]
            done = subprocess.run([*command, *sizes], check=True, stdout=subprocess.PIPE)
        growth, left_open, records = json.loads(done.stdout)
        name = f"{MESSAGES:,} messages through {library}"
        yield {"name": f"{name}: memory", "ratio": growth, "unit": "of a fifth's", "goal": 1.05}
        yield {"name": f"{name}: spans left open", "ratio": left_open, "unit": "", "goal": 0}
        yield {"name": f"{name}: records", "ratio": records, "unit": "each", "goal": ">= 2"}
