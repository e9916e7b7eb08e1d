"""
One service of the mixed chains: `opentelemetry-instrument python service.py '{"name": …}'`.

It receives by one transport and sends what follows by others. It says `ready`, or uvicorn where it
is running, when nothing that is sent to it can be missed any more.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

from otelope import new_id


AWS = {
    "region_name": "us-east-1",
    "aws_access_key_id": "otelope",
    "aws_secret_access_key": "otelope",
}
Handle = Callable[[bytes], None]


class Place(NamedTuple):
    """A channel of a transport."""

    transport: str
    address: str
    channel: str


class Service:
    """
    What a service does, whatever brings its messages.

    Args:
        name: The service's.
        receives: Where it receives.
        sends: Where what follows goes to, the same to each; nowhere at the end of a chain.
        type: What follows.
        first: Sent without having received anything.
    """

    def __init__(
        self,
        name: str,
        receives: list[str],
        sends: list[list[str]],
        type: str | None,  # noqa: A002 - the envelope's word
        first: list[dict[str, Any]],
    ) -> None:
        self.name = name
        self.stopped = False
        self._receives = Place(*receives)
        self._sends = [Place(*place) for place in sends]
        self._type = type
        self._first = first
        signal.signal(signal.SIGTERM, self._stop)

    def run(self) -> None:
        """Send what comes first, and receive until SIGTERM."""
        for message in self._first:
            self._send(message)
        RECEIVE[self._receives.transport](self._receives, self)

    def handle(self, body: bytes) -> None:
        """Send what follows from a message."""
        if self._type is None:
            return
        received = json.loads(body)
        foreign = received["payload"]["foreign"]
        self._send(
            {
                "id": str(uuid4()) if foreign else new_id(received["id"]),
                "timestamp": time.time_ns() // 1_000_000,
                "source": {"name": self.name, "version": "1.0"},
                "parentId": received["id"],
                "type": self._type,
                "payload": received["payload"],
            }
        )

    def working(self) -> Iterator[None]:
        """Say that it is ready, and go on until SIGTERM."""
        print("ready", flush=True)
        while not self.stopped:
            yield

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        for place in self._sends:
            SEND[place.transport](place, body)

    def _stop(self, *_: object) -> None:
        self.stopped = True


def receive_nothing(_: Place, service: Service) -> None:
    for _ in service.working():
        time.sleep(0.1)


def send_http(place: Place, body: bytes) -> None:
    import httpx

    headers = {"content-type": "application/json"}
    url = f"{place.address}/{place.channel}"
    httpx.post(url, content=body, headers=headers, timeout=30).raise_for_status()


def receive_http(place: Place, service: Service) -> None:
    import uvicorn

    from fastapi import Body, FastAPI

    app = FastAPI()

    # No coroutine: it runs in a thread, in which the clients of brokers may wait.
    @app.post(f"/{place.channel}", status_code=202)
    def receive(message: dict[str, Any] = Body()) -> None:  # noqa: B008, FAST002 - lowest FastAPI
        service.handle(json.dumps(message).encode())

    uvicorn.run(app, port=0)


def send_kafka(place: Place, body: bytes) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": place.address, "linger.ms": 0})
    producer.produce(place.channel, body)
    producer.flush()


def receive_kafka(place: Place, service: Service) -> None:
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": place.address,
            "group.id": f"{place.channel}.{service.name}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([place.channel])
    for _ in service.working():
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            service.handle(message.value())
    consumer.close()


def send_rabbitmq(place: Place, body: bytes) -> None:
    import pika

    with pika.BlockingConnection(pika.URLParameters(place.address)) as connection:
        connection.channel().basic_publish("", place.channel, body)


def receive_rabbitmq(place: Place, service: Service) -> None:
    import pika

    with pika.BlockingConnection(pika.URLParameters(place.address)) as connection:
        channel = connection.channel()
        channel.queue_declare(place.channel, auto_delete=True)
        channel.basic_consume(
            place.channel, lambda *delivered: service.handle(delivered[-1]), auto_ack=True
        )
        for _ in service.working():
            connection.process_data_events(0.2)


def send_nats(place: Place, body: bytes) -> None:
    import nats

    async def publish() -> None:
        async with await nats.connect(place.address) as client:
            await client.publish(place.channel, body)

    asyncio.run(publish())


def receive_nats(place: Place, service: Service) -> None:
    import nats

    async def receive() -> None:
        async with await nats.connect(place.address) as client:

            async def handle(message: Any) -> None:
                service.handle(message.data)

            await client.subscribe(place.channel, cb=handle)
            await client.flush()
            for _ in service.working():
                await asyncio.sleep(0.1)

    asyncio.run(receive())


def _queue(place: Place) -> tuple[Any, str]:
    import boto3

    client = boto3.client("sqs", endpoint_url=place.address, **AWS)
    # Who comes second gets the queue that is there.
    return client, client.create_queue(QueueName=place.channel)["QueueUrl"]


def send_sqs(place: Place, body: bytes) -> None:
    client, url = _queue(place)
    client.send_message(QueueUrl=url, MessageBody=body.decode())
    client.close()


def receive_sqs(place: Place, service: Service) -> None:
    client, url = _queue(place)
    for _ in service.working():
        answer = client.receive_message(
            QueueUrl=url, WaitTimeSeconds=1, MessageAttributeNames=["All"]
        )
        for message in answer.get("Messages", []):
            service.handle(message["Body"].encode())
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    client.delete_queue(QueueUrl=url)
    client.close()


def send_redis(place: Place, body: bytes) -> None:
    from redis import Redis

    with Redis.from_url(place.address) as client:
        client.xadd(place.channel, {"event": body})


def receive_redis(place: Place, service: Service) -> None:
    from redis import Redis

    with Redis.from_url(place.address) as client:
        last: Any = "0"
        for _ in service.working():
            for entries in dict(client.xread({place.channel: last}, block=200)).values():
                for entry, fields in entries:
                    service.handle(fields[b"event"])
                    last = entry
        client.delete(place.channel)


SEND = {
    "http": send_http,
    "kafka": send_kafka,
    "rabbitmq": send_rabbitmq,
    "nats": send_nats,
    "sqs": send_sqs,
    "redis": send_redis,
}
RECEIVE = {
    "nothing": receive_nothing,
    "http": receive_http,
    "kafka": receive_kafka,
    "rabbitmq": receive_rabbitmq,
    "nats": receive_nats,
    "sqs": receive_sqs,
    "redis": receive_redis,
}


if __name__ == "__main__":
    Service(**json.loads(sys.argv[1])).run()
