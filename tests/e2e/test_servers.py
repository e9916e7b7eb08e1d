"""The servers that other tests trust: each takes a message and gives it back."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import uuid4

import pytest


@pytest.mark.kafka
def test_apache_kafka_takes_and_gives_a_message(kafka_server: str):
    _round_trip(kafka_server)


def test_the_mock_cluster_takes_and_gives_a_message(kafka_mock: str):
    _round_trip(kafka_mock)


def test_the_mock_cluster_is_reached_from_other_clients(kafka_mock: str):
    topic = f"t-{uuid4()}"

    async def send_and_receive() -> bytes | None:
        from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

        async with AIOKafkaProducer(bootstrap_servers=kafka_mock) as producer:
            await producer.send_and_wait(topic, b"body", headers=[("a", b"1")])
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=kafka_mock, auto_offset_reset="earliest"
        )
        async with consumer:
            message = await asyncio.wait_for(consumer.getone(), 30)
            assert message.headers == (("a", b"1"),)
            return message.value

    assert asyncio.run(send_and_receive()) == b"body"


def _round_trip(address: str) -> None:
    import confluent_kafka

    topic = f"t-{uuid4()}"
    failures: list[object] = []
    producer = confluent_kafka.Producer({"bootstrap.servers": address})
    producer.produce(
        topic,
        b"body",
        headers=[("a", b"1")],
        on_delivery=lambda error, _: failures.append(error) if error else None,
    )
    assert producer.flush(30) == 0
    assert not failures
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": address,
            "group.id": topic,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.subscribe([topic])
        (message,) = consumer.consume(1, timeout=30)
        assert message.error() is None
        assert (message.value(), message.headers()) == (b"body", [("a", b"1")])
    finally:
        consumer.close()


@pytest.mark.rabbitmq
def test_rabbitmq_takes_and_gives_a_message(rabbitmq_server: str):
    import pika

    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_server))
    try:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        properties = pika.BasicProperties(headers={"a": "1"}, message_id="7")
        channel.basic_publish("", queue, b"body", properties)
        for _, received, body in channel.consume(queue, auto_ack=True, inactivity_timeout=30):
            assert body == b"body"
            assert (received.headers, received.message_id) == ({"a": "1"}, "7")
            break
    finally:
        connection.close()


@pytest.mark.redis
def test_redis_takes_and_gives_a_message_and_keeps_it_in_a_stream(redis_server: str):
    from redis import Redis

    key = f"t-{uuid4()}"
    with Redis.from_url(redis_server, decode_responses=True) as client:
        client.rpush(key, "body")
        assert client.blpop([key], 30) == (key, "body")
        id_ = client.xadd(f"{key}s", {"order": "body"})
        assert client.xrange(f"{key}s") == [(id_, {"order": "body"})]
        # It keeps nothing on disk.
        assert client.config_get("save") == {"save": ""}
        assert client.delete(f"{key}s") == 1


@pytest.mark.nats
def test_nats_takes_and_gives_a_message_and_keeps_it_in_a_stream(nats_server: str):
    import nats

    async def send_and_receive() -> None:
        subject = f"t-{uuid4()}"
        async with await nats.connect(nats_server) as client:
            subscription = await client.subscribe(subject)
            streams = client.jetstream()
            await streams.add_stream(name=subject, subjects=[subject])
            await streams.publish(subject, b"body", headers={"a": "1"})
            message = await subscription.next_msg(30)
            assert (message.data, message.headers) == (b"body", {"a": "1"})
            pulled = await streams.pull_subscribe(subject, "durable")
            (kept,) = await pulled.fetch(1, timeout=30)
            assert (kept.data, kept.headers, kept.metadata.num_delivered) == (
                b"body",
                {"a": "1"},
                1,
            )

    asyncio.run(send_and_receive())


@pytest.mark.mqtt
def test_mosquitto_takes_and_gives_a_message_and_keeps_a_retained_one(mqtt_server: str):
    import aiomqtt

    at = urlsplit(mqtt_server)

    async def send_and_receive() -> None:
        topic = f"t-{uuid4()}"
        async with aiomqtt.Client(at.hostname, at.port) as client:
            await client.publish(topic, b"body", 2, retain=True)
            await client.subscribe(topic, 2)
            async for message in client.messages:
                assert (message.payload, message.qos, message.retain) == (b"body", 2, True)
                break
            await client.publish(topic, b"", 1, retain=True)

    asyncio.run(asyncio.wait_for(send_and_receive(), 30))


@pytest.mark.aws
def test_moto_takes_and_gives_a_message_and_forwards_what_is_published(aws_server: str):
    import boto3

    access = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    to = {"endpoint_url": aws_server, "region_name": "us-east-1", **access}
    name = f"t-{uuid4()}"
    sqs, sns = boto3.client("sqs", **to), boto3.client("sns", **to)
    try:
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        queue = f"arn:aws:sqs:us-east-1:123456789012:{name}"
        topic = sns.create_topic(Name=name)["TopicArn"]
        raw = {"RawMessageDelivery": "true"}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=raw)
        attributes = {"a": {"DataType": "String", "StringValue": "1"}}
        sqs.send_message(QueueUrl=url, MessageBody="sent", MessageAttributes=attributes)
        sns.publish(TopicArn=topic, Message="published", MessageAttributes=attributes)
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        got = [(m["Body"], m["MessageAttributes"]) for m in answer["Messages"]]
        assert got == [("sent", attributes), ("published", attributes)]
    finally:
        sqs.close()
        sns.close()


@pytest.mark.pubsub
def test_pubsub_takes_and_gives_a_message_and_gives_it_again(pubsub_server: str):
    from google.cloud import pubsub_v1

    with patch.dict(os.environ, PUBSUB_EMULATOR_HOST=pubsub_server):
        publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    topic, at = (f"projects/p/{kind}/t-{uuid4()}" for kind in ("topics", "subscriptions"))
    publisher.create_topic(name=topic)
    with subscriber:
        subscriber.create_subscription(name=at, topic=topic)
        publisher.publish(topic, b"body", a="1").result(30)
        for _ in range(2):
            (got,) = subscriber.pull(subscription=at, max_messages=1).received_messages
            assert (got.message.data, dict(got.message.attributes)) == (b"body", {"a": "1"})
            ids = {"subscription": at, "ack_ids": [got.ack_id]}
            subscriber.modify_ack_deadline(**ids, ack_deadline_seconds=0)
    publisher.stop()


@pytest.mark.pulsar
def test_pulsars_stand_in_takes_and_gives_a_message_and_gives_it_again(pulsar_server: str):
    import pulsar

    client, topic = pulsar.Client(pulsar_server), f"t-{uuid4()}"
    client.create_producer(topic).send(b"body", properties={"a": "1"})
    consumer = client.subscribe(
        topic,
        "workers",
        consumer_type=pulsar.ConsumerType.Shared,
        initial_position=pulsar.InitialPosition.Earliest,
        negative_ack_redelivery_delay_ms=10,
    )
    for count in range(2):
        got = consumer.receive(30_000)
        said = got.data(), got.properties(), got.redelivery_count()
        assert said == (b"body", {"a": "1"}, count)
        consumer.negative_acknowledge(got)
    consumer.acknowledge(consumer.receive(30_000))
    with pytest.raises(pulsar.Timeout):
        consumer.receive(100)
    client.close()


@pytest.mark.servicebus
def test_service_bus_stand_in_takes_and_gives_a_message_and_gives_it_again(servicebus_server: str):
    from azure.servicebus import ServiceBusMessage

    from tests.e2e.chain.over_servicebus import connected

    queue = f"t-{uuid4()}"
    with connected(servicebus_server) as client, client.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage(b"body", application_properties={"a": "1"}))
        with client.get_queue_receiver(queue) as receiver:
            for count in range(2):
                (message,) = receiver.receive_messages(max_wait_time=30)
                assert b"".join(message.body) == b"body"
                assert (message.application_properties, message.delivery_count) == (
                    {b"a": b"1"},
                    count,
                )
                receiver.abandon_message(message)
            receiver.complete_message(receiver.receive_messages(max_wait_time=30)[0])
            assert receiver.receive_messages(max_wait_time=0.1) == []


@pytest.mark.postgresql
def test_postgresql_takes_and_gives_a_row(postgresql_server: str):
    import psycopg

    with (
        psycopg.connect(postgresql_server) as writer,
        psycopg.connect(postgresql_server) as reader,
    ):
        writer.execute("CREATE TABLE t (body jsonb)")
        writer.execute("INSERT INTO t VALUES (%s)", ['{"a": 1}'])
        writer.commit()
        try:
            assert reader.execute("SELECT body FROM t").fetchall() == [({"a": 1},)]
        finally:
            reader.rollback()
            writer.execute("DROP TABLE t")


@pytest.mark.postgresql
def test_postgresql_lets_nobody_in_without_the_password(postgresql_server: str):
    import psycopg

    parts = urlsplit(postgresql_server)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(parts._replace(netloc=f"otelope:no@127.0.0.1:{parts.port}").geturl())


@pytest.mark.slow
@pytest.mark.kafka
def test_a_killed_test_run_leaves_no_server(tmp_path: Path, kafka_server: str):
    answer = tmp_path / "answers" / "kafka.json"
    answer.parent.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.servers.keeper", "kafka", answer, str(owner.pid)],
            cwd=Path(__file__).parents[2],
        )
        try:
            deadline = time.monotonic() + 90
            while not answer.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            _, port = json.loads(answer.read_text())["address"].split(":")
            socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()
            owner.kill()
            assert keeper.wait(60) == 0
        finally:
            keeper.terminate()
            keeper.wait()
    assert not answer.parent.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)), timeout=5)


def test_a_killed_test_leaves_no_clickhouse(tmp_path: Path):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from tests.e2e.servers.clickhouse import ClickHouse\n"
        "server = ClickHouse(Path(sys.argv[1])); server.start()\n"
        "print(server.port, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    ) as owner:  # fmt: skip
        assert owner.stdout
        address = ("127.0.0.1", int(owner.stdout.readline()))
        socket.create_connection(address, timeout=5).close()
        owner.kill()
    deadline = time.monotonic() + 30
    while listens(address):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True
