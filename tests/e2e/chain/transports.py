"""What carries the chains' messages: channels, and a relay that copies bodies without headers."""

from __future__ import annotations

import asyncio
import http.client
import os
import threading
import urllib.parse

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch


RECEIVERS = ("orders", "payments", "shop")
BARE = ".bare"
# What a stream's entries have beside an application's own fields.
HEADERS = (b"traceparent", b"tracestate")


@contextmanager
def kafka(address: str, run: str) -> Iterator[str]:
    """Topics, and a relay from ``TOPIC.bare`` to ``TOPIC``."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    topics = [f"{run}.{receiver}" for receiver in RECEIVERS]
    bare = [topic + BARE for topic in topics]
    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(topic, 1, 1) for topic in topics + bare]).values():
        future.result(30)

    def relay(stopped: threading.Event) -> None:
        producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
        consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": f"{run}.bare",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe(bare)
        while not stopped.is_set():
            message = consumer.poll(0.1)
            if message is not None and not message.error():
                producer.produce(message.topic().removesuffix(BARE), message.value())
                producer.flush()
        consumer.close()

    with _in_thread(relay):
        yield address


@contextmanager
def rabbitmq(url: str, run: str) -> Iterator[str]:
    """Queues, and a relay from ``QUEUE.bare`` to ``QUEUE``."""
    import pika

    queues = [f"{run}.{receiver}" for receiver in RECEIVERS]
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    for queue in queues:
        channel.queue_declare(queue)
        channel.queue_declare(queue + BARE)

    def relay(stopped: threading.Event) -> None:
        def forward(_channel, method, _properties, body) -> None:
            channel.basic_publish("", method.routing_key.removesuffix(BARE), body)

        for queue in queues:
            channel.basic_consume(queue + BARE, forward, auto_ack=True)
        while not stopped.is_set():
            connection.process_data_events(0.1)
        for queue in queues:
            channel.queue_delete(queue)
            channel.queue_delete(queue + BARE)
        connection.close()

    with _in_thread(relay):
        yield url


@contextmanager
def nats(url: str, run: str, *, stream: bool) -> Iterator[str]:
    """
    A relay from ``SUBJECT.bare`` to ``SUBJECT``.

    Args:
        url: The server's.
        run: What the subjects' names begin with.
        stream: Whether JetStream keeps what is sent.
    """
    from nats import connect

    ready = threading.Event()

    async def work(stopped: threading.Event) -> None:
        async with await connect(url) as client:

            async def forward(message) -> None:
                # A stream has answered its sender; else whoever handles a request does.
                reply = "" if stream else message.reply
                subject = message.subject.removesuffix(BARE)
                await client.publish(subject, message.data, reply=reply)

            if stream:
                await client.jetstream().add_stream(name=run, subjects=[f"{run}.>"])
            await client.subscribe(f"{run}.*{BARE}", cb=forward)
            await client.flush()
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, stopped.wait)
            if stream:
                await client.jetstream().delete_stream(run)

    def relay(stopped: threading.Event) -> None:
        asyncio.run(work(stopped))

    with _in_thread(relay):
        assert ready.wait(30)
        yield url


@contextmanager
def mqtt(url: str, run: str) -> Iterator[str]:
    """A relay from ``TOPIC.bare`` to ``TOPIC``, which speaks 3.1.1 and so has no headers."""
    from tests.e2e.chain.over_paho import made

    at = urllib.parse.urlsplit(url)
    ready = threading.Event()

    def relay(stopped: threading.Event) -> None:
        def forward(_client: Any, _userdata: Any, message: Any) -> None:
            client.publish(message.topic.removesuffix(BARE), message.payload, 2)

        client = made(five=False)
        client.on_message = forward
        client.on_subscribe = lambda *_: ready.set()
        client.connect(at.hostname, at.port)
        client.subscribe([(f"{run}.{receiver}{BARE}", 2) for receiver in RECEIVERS])
        while not stopped.is_set():
            client.loop(0.1)
        client.disconnect()

    with _in_thread(relay):
        assert ready.wait(30)
        yield url


@contextmanager
def aws(address: str, run: str, mode: str) -> Iterator[str]:
    """
    Queues with the topics or event buses before them, and a relay from ``CHANNEL.bare``.

    Args:
        address: The server's.
        run: What the channels' names begin with.
        mode: How messages are sent, as `over_aws` has it.
    """
    import boto3

    from tests.e2e.chain import over_aws

    to = {**over_aws.ACCESS, "endpoint_url": address}
    sqs, sender = (boto3.client(name, **to) for name in ("sqs", over_aws.service_of(mode)))
    channels = [f"{run}.{receiver}" for receiver in RECEIVERS]
    for channel in channels + [channel + BARE for channel in channels]:
        name = over_aws.name_of(channel)
        sqs.create_queue(QueueName=name)
        queue = f"arn:aws:sqs:{over_aws.ACCESS['region_name']}:{over_aws.ACCOUNT}:{name}"
        if over_aws.service_of(mode) == "sns":
            sender.create_topic(Name=name)
            sender.subscribe(
                TopicArn=over_aws.TOPIC + name,
                Protocol="sqs",
                Endpoint=queue,
                Attributes={"RawMessageDelivery": str(mode == "raw").lower()},
            )
        elif mode == "events":
            sender.create_event_bus(Name=name)
            sender.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["chain"]}')
            target = {"Id": "queue", "Arn": queue}
            sender.put_targets(Rule=name, EventBusName=name, Targets=[target])

    def relay(stopped: threading.Event) -> None:
        while not stopped.wait(0.1):
            for channel in channels:
                url = over_aws.url_of(address, channel + BARE)
                answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
                for message in answer.get("Messages", []):
                    body = over_aws.body_of(mode, message).encode()
                    for method, params in over_aws.calls(address, mode, [(channel, body)]):
                        getattr(sender, method)(**params)
                    sqs.delete_message(**over_aws.deletion(url, message))
        sqs.close()
        sender.close()

    with _in_thread(relay):
        yield address


@contextmanager
def pubsub(address: str, run: str) -> Iterator[str]:
    """Topics with a subscription each, which keeps an order, and a relay from ``TOPIC.bare``."""
    from google.cloud import pubsub_v1

    from tests.e2e.chain.over_pubsub import subscription, topic

    names = [f"{run}.{receiver}" for receiver in RECEIVERS]
    with patch.dict(os.environ, PUBSUB_EMULATOR_HOST=address):
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    with subscriber:
        for name in [*names, *(name + BARE for name in names)]:
            publisher.create_topic(name=topic(name))
            made = {"name": subscription(name), "topic": topic(name)}
            subscriber.create_subscription(request={**made, "enable_message_ordering": True})

        def forwarder(name: str) -> Callable[[Any], None]:
            def forward(message: Any) -> None:
                publisher.publish(topic(name), message.data).result(30)
                message.ack()

            return forward

        relays = [subscriber.subscribe(subscription(n + BARE), forwarder(n)) for n in names]
        try:
            yield address
        finally:
            for relay in relays:
                relay.cancel()
                relay.result(30)
            publisher.stop()


@contextmanager
def pulsar(url: str, run: str) -> Iterator[str]:
    """A relay from ``TOPIC.bare`` to ``TOPIC``."""
    from pulsar import Client, Timeout

    from tests.e2e.chain.over_pulsar import SHARED

    topics = [f"{run}.{receiver}" for receiver in RECEIVERS]

    def relay(stopped: threading.Event) -> None:
        client = Client(url)
        producers = {topic: client.create_producer(topic) for topic in topics}
        consumer = client.subscribe([topic + BARE for topic in topics], "relay", **SHARED)
        while not stopped.is_set():
            with suppress(Timeout):
                message = consumer.receive(100)
                name = message.topic_name().rpartition("/")[2]
                producers[name.removesuffix(BARE)].send(message.data())
                consumer.acknowledge(message)
        client.close()

    with _in_thread(relay):
        yield url


@contextmanager
def servicebus(address: str, run: str) -> Iterator[str]:
    """Relays from ``QUEUE.bare`` to ``QUEUE``."""
    from azure.servicebus import ServiceBusMessage

    from tests.e2e.chain.over_servicebus import WAIT_SECONDS, connected

    def relay(stopped: threading.Event) -> None:
        with connected(address) as client, ExitStack() as links:
            queues = [f"{run}.{name}" for name in RECEIVERS]
            senders = [client.get_queue_sender(queue) for queue in queues]
            receivers = [
                client.get_queue_receiver(queue + BARE, max_wait_time=WAIT_SECONDS)
                for queue in queues
            ]
            # Where it is not open yet, opening it is a part of the wait.
            pairs = [
                (links.enter_context(receiver), links.enter_context(sender))
                for receiver, sender in zip(receivers, senders, strict=True)
            ]
            while not stopped.is_set():
                for receiver, sender in pairs:
                    for message in receiver.receive_messages(10):
                        sender.send_messages(ServiceBusMessage(b"".join(message.body)))
                        receiver.complete_message(message)

    with _in_thread(relay):
        yield address


@contextmanager
def redis(url: str, run: str, kept: str) -> Iterator[str]:
    """
    A relay from ``KEY.bare`` to ``KEY``.

    Args:
        url: The server's.
        run: What the keys and channels begin with.
        kept: What keeps a message: a ``stream`` with a group of workers, a ``list`` or nothing.
    """
    from redis import Redis

    keys = [f"{run}.{receiver}" for receiver in RECEIVERS]
    bare = [key + BARE for key in keys]
    relay = {"stream": _relay_streams, "list": _relay_lists}.get(kept, _relay_published)
    with (
        Redis.from_url(url, protocol=2) as client,
        client.pubsub(ignore_subscribe_messages=True) as subscriber,
    ):
        if kept == "stream":
            for key in keys:
                client.xgroup_create(key, "workers", "0", mkstream=True)
        elif kept == "nothing":
            subscriber.subscribe(*bare)
            for _ in bare:
                subscriber.get_message(timeout=30)
        with _in_thread(lambda stopped: relay(stopped, client, subscriber, bare)):
            yield url
        client.delete(*keys, *bare)


def _relay_streams(stopped: threading.Event, client: Any, _: Any, bare: list[str]) -> None:
    after: dict[Any, Any] = dict.fromkeys(bare, "0")
    while not stopped.is_set():
        for stream, entries in dict(client.xread(after, block=100)).items():
            for id_, fields in entries:
                after[stream.decode()] = id_
                kept = {name: fields[name] for name in fields if name not in HEADERS}
                client.xadd(stream.decode().removesuffix(BARE), kept)


def _relay_lists(stopped: threading.Event, client: Any, _: Any, bare: list[str]) -> None:
    while not stopped.is_set():
        if got := client.blpop(bare, timeout=1):
            client.rpush(got[0].decode().removesuffix(BARE), got[1])


def _relay_published(stopped: threading.Event, client: Any, subscriber: Any, _: Any) -> None:
    while not stopped.is_set():
        message = subscriber.get_message(timeout=0.1)
        if message is not None:
            client.publish(message["channel"].decode().removesuffix(BARE), message["data"])


@contextmanager
def kombu(url: str, run: str, kept: Collection[str] = ()) -> Iterator[str]:
    """
    A relay from ``QUEUE.bare`` to ``QUEUE``, over whatever kombu speaks to.

    Args:
        url: The server's.
        run: What the queues' names begin with.
        kept: The headers that it passes on.
    """
    from kombu import Connection, Queue

    def relay(stopped: threading.Event) -> None:
        with Connection(url) as connection:
            names = [f"{run}.{receiver}" for receiver in RECEIVERS]
            queues, bare = (
                [Queue(name + suffix)(connection) for name in names] for suffix in ("", BARE)
            )
            for queue in queues:
                queue.declare()

            def forward(body: Any, message: Any) -> None:
                to = message.delivery_info["routing_key"].removesuffix(BARE)
                headers = {name: message.headers[name] for name in kept}
                connection.Producer().publish(body, to, headers=headers)
                message.ack()

            with connection.Consumer(bare, callbacks=[forward], accept=["json"]):
                ready.set()
                while not stopped.is_set():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=0.1)
            for queue in queues + bare:
                queue.delete()

    ready = threading.Event()
    with _in_thread(relay):
        assert ready.wait(30)
        yield url


def celery(url: str, run: str) -> AbstractContextManager[str]:
    """A relay as of `kombu`; without Celery's own headers a message would be no task."""
    from celery import Celery

    return kombu(url, run, list(Celery(set_as_current=False).amqp.as_task_v2("", "").headers))


@contextmanager
def dramatiq(url: str, run: str) -> Iterator[str]:
    """
    A relay from ``QUEUE_bare`` to ``QUEUE``, which keeps no option of a message.

    Args:
        url: The server's.
        run: What the queues' names begin with.
    """
    from dramatiq import Message

    from tests.e2e.chain.over_dramatiq import broker_of, queue_of

    def relay(stopped: threading.Event) -> None:
        broker = broker_of(url)
        consumers = {}
        for receiver in RECEIVERS:
            to = queue_of(f"{run}.{receiver}")
            for queue in (to, queue_of(to + BARE)):
                broker.declare_queue(queue)
            consumers[to] = broker.consume(queue, timeout=50)
        while not stopped.is_set():
            for to, consumer in consumers.items():
                message = next(consumer)
                if message is not None:
                    broker.enqueue(Message(to, to, message.args, message.kwargs, {}))
                    consumer.ack(message)
        for consumer in consumers.values():
            consumer.close()
        broker.close()

    with _in_thread(relay):
        yield url


@contextmanager
def rq(url: str, run: str) -> Iterator[str]:
    """A relay from ``QUEUE.bare`` to ``QUEUE``, which keeps nothing of a job's `meta`."""
    from redis import Redis
    from rq import Queue

    def relay(stopped: threading.Event) -> None:
        with Redis.from_url(url) as connection:
            queues = [Queue(f"{run}.{each}{BARE}", connection=connection) for each in RECEIVERS]
            while not stopped.wait(0.02):
                while found := Queue.dequeue_any(queues, None, connection=connection):
                    job, bare = found
                    to = Queue(bare.name.removesuffix(BARE), connection=connection)
                    to.enqueue_call(job.func_name, job.args, job.kwargs)

    with _in_thread(relay):
        yield url


@contextmanager
def huey(url: str, run: str) -> Iterator[str]:
    """A relay from ``NAME.bare`` to ``NAME``, though a task has no headers to lose."""
    from tests.e2e.chain.over_huey import huey_of

    def relay(stopped: threading.Event) -> None:
        to = {f"{run}.{each}": huey_of(url, f"{run}.{each}") for each in RECEIVERS}
        bare = {name: huey_of(url, name + BARE) for name in to}
        while not stopped.wait(0.02):
            for name, (queue, _) in bare.items():
                while task := queue.dequeue():
                    to[name][1](*task.args)

    with _in_thread(relay):
        yield url


@contextmanager
def taskiq(url: str, run: str) -> Iterator[str]:
    """A relay from ``QUEUE.bare`` to ``QUEUE``, which keeps no label of a task."""
    from taskiq.api import run_receiver_task
    from taskiq.kicker import AsyncKicker

    from tests.e2e.chain.over_taskiq import TASK, broker_of, started

    async def forward(channel: str, stopped: threading.Event) -> None:
        bare = broker_of(url, channel + BARE)

        async def act(body: Any) -> None:
            await AsyncKicker(TASK, to, {}).kiq(body)

        bare.register_task(act, task_name=TASK)
        async with started(broker_of(url, channel)) as to, started(bare, works=True):
            receiving = asyncio.ensure_future(run_receiver_task(bare, max_async_tasks=1))
            await asyncio.get_running_loop().run_in_executor(None, stopped.wait)
            receiving.cancel()
            await asyncio.wait([receiving])

    async def work(stopped: threading.Event) -> None:
        await asyncio.gather(*(forward(f"{run}.{each}", stopped) for each in RECEIVERS))

    with _in_thread(lambda stopped: asyncio.run(work(stopped))):
        yield url


@contextmanager
def arq(url: str, run: str) -> Iterator[str]:
    """A relay from ``QUEUE.bare`` to ``QUEUE``, though a job has no headers to lose."""
    from arq import Worker, func
    from arq.connections import RedisSettings

    from tests.e2e.chain.over_arq import ACT

    def worker_of(channel: str) -> Worker:
        async def act(ctx: dict[str, Any], body: Any) -> None:
            await ctx["redis"].enqueue_job(ACT, body, _queue_name=channel)

        return Worker(
            [func(act, name=ACT)],
            queue_name=channel + BARE,
            redis_settings=RedisSettings.from_dsn(url),
            poll_delay=0.02,
            keep_result=0,
            handle_signals=False,
        )

    async def work(stopped: threading.Event) -> None:
        workers = [worker_of(f"{run}.{each}") for each in RECEIVERS]
        working = [asyncio.ensure_future(worker.async_run()) for worker in workers]
        await asyncio.get_running_loop().run_in_executor(None, stopped.wait)
        for worker in workers:
            worker.burst, worker.max_burst_jobs = True, 0  # it takes nothing more
        await asyncio.gather(*working)
        for worker in workers:
            await worker.pool.connection_pool.disconnect()

    with _in_thread(lambda stopped: asyncio.run(work(stopped))):
        yield url


@contextmanager
def gateway(url_of: Callable[[str], str], run: str) -> Iterator[str]:
    """
    A reverse proxy; below ``/CHANNEL.bare`` it passes on no header but the content's type.

    Args:
        url_of: The URL of a service; may wait until the service is ready.
        run: What the channels' names begin with.
    """

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            path = self.path.removesuffix(BARE)
            bare = path != self.path
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("host", "connection")
                and (not bare or name.lower() in ("content-type", "content-length"))
            }
            body = self.rfile.read(int(self.headers["content-length"]))
            backend = urllib.parse.urlsplit(url_of(path.removeprefix(f"/{run}."))).netloc
            connection = http.client.HTTPConnection(backend, timeout=30)
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _in_thread(relay: Callable[[threading.Event], None]) -> Iterator[None]:
    stopped = threading.Event()
    thread = threading.Thread(target=relay, args=(stopped,))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
