"""What only Kafka's clients have: every form of `send`, serializers, tombstones, transactions."""

from __future__ import annotations

import asyncio
import importlib.util
import json

from contextlib import asynccontextmanager, closing

import confluent_kafka
import confluent_kafka.admin
import pytest

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.serializer import Deserializer, Serializer
from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelope

from otelope import instrumentor
from otelope.testing.messages import foreign_id, make, new_channel
from otelope.testing.spans import links, span_spot
from tests.contract.drivers.confluent_kafka import imported


pytestmark = pytest.mark.kafka


class Json(Serializer, Deserializer):
    """Since kafka-python 3 the headers stand before the value."""

    def serialize(self, *given):
        return json.dumps(given[-1]).encode()

    def deserialize(self, *given):
        return json.loads(given[-1])


@pytest.fixture
def producer(kafka_server):
    made = KafkaProducer(bootstrap_servers=kafka_server, retry_backoff_ms=5, retries=20)
    with closing(made):
        yield made


def records(address, channel, count):
    """So many records of a topic, as a consumer without instrumentation sees them."""
    consumer = KafkaConsumer(
        bootstrap_servers=address,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=20_000,
    )
    with closing(consumer), suppress_instrumentation():
        consumer.assign([TopicPartition(channel, 0)])
        found = [record for _, record in zip(range(count), consumer, strict=False)]
    assert len(found) == count
    return found


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ((), {}),
        ((b"key",), {}),
        ((None, None), {}),
        ((b"key", [("a", b"1"), ("traceparent", b"theirs"), ("a", b"2")], 0, 1_000), {}),
        ((), {"key": b"key", "partition": 0, "timestamp_ms": 1_000}),
        ((), {"headers": [("a", b"1")]}),
    ],
    ids=["topic and value", "key", "nothing", "all by position", "by name", "headers"],
)
def test_every_form_of_send_sends_what_it_sent(service, kafka_server, producer, args, named):
    channel, body = new_channel(), make().body
    with suppress_instrumentation():
        producer.send(channel, body, *args, **named).get(10)
    assert service.spans() == []
    producer.send(channel, body, *args, **named).get(10)
    plainly, ours = records(kafka_server, channel, 2)
    assert len(service.spans("send")) == 1
    same = [name for name in plainly._fields if "size" not in name]
    same = [n for n in same if n not in ("offset", "timestamp", "headers", "checksum")]
    assert [getattr(ours, n) for n in same] == [getattr(plainly, n) for n in same]
    if 1_000 in (*args, *named.values()):
        assert (ours.timestamp, plainly.timestamp) == (1_000, 1_000)
    own = [pair for pair in plainly.headers if pair[0] != "traceparent"]
    assert ours.headers[: len(own)] == own
    assert [name for name, _ in ours.headers[len(own) :]] == ["traceparent", "tracestate"]


@pytest.mark.parametrize("headers", [{"a": b"1"}, (("a", b"1"),), [["a", b"1"]], [("a", "1")]])
def test_headers_that_the_library_refuses_it_still_refuses(service, producer, headers):
    def refused():
        with pytest.raises((TypeError, AssertionError)) as caught:
            producer.send(new_channel(), make().body, headers=headers)
        return type(caught.value), str(caught.value)

    with suppress_instrumentation():
        plainly = refused()
    assert refused() == plainly
    (span,) = service.spans("send")
    assert span.status.status_code.name == "ERROR"


def test_value_that_is_serialized_later_is_an_envelope_already(service, kafka_server):
    channel, event = new_channel(), otelope.envelope("OrderPlaced", {"n": 1})
    settings = {"bootstrap_servers": kafka_server, "retry_backoff_ms": 5, "retries": 20}
    with closing(KafkaProducer(value_serializer=Json(), **settings)) as producer:
        producer.send(channel, event.to_dict()).get(10)
    consumer = KafkaConsumer(
        bootstrap_servers=kafka_server,
        auto_offset_reset="earliest",
        value_deserializer=Json(),
    )
    with closing(consumer):
        consumer.assign([TopicPartition(channel, 0)])
        record = next(consumer)
        assert record.value == event.to_dict()
        current = otelope.current()
    assert (current.id, current.payload) == (event.id, {"n": 1})
    assert service.shapes() == [["OrderPlaced", "  process OrderPlaced"]]


def test_tombstone_is_no_envelope(service, kafka_server, producer):
    channel = new_channel()
    producer.send(channel, key=b"order-7").get(10)
    (record,) = records(kafka_server, channel, 1)
    assert (record.key, record.value, record.headers) == (b"order-7", None, [])
    assert (service.spans(), service.records) == ([], [])


@pytest.mark.skipif(
    importlib.util.find_spec("confluent_kafka.aio") is None,
    reason="not applicable: this confluent-kafka has no client for asyncio",
)
class TestConfluentInAsyncio:
    def test_what_is_sent_and_received_is_one_tree_without_headers(self, service, kafka_server):
        from confluent_kafka.aio import AIOProducer

        channel, placed = new_channel(), make()
        charged = make("OrderPlaced", placed.id)

        async def scenario():
            async with AIOProducer({"bootstrap.servers": kafka_server}) as producer:
                await delivered(producer, channel, placed.body)
                async with consuming(kafka_server, channel) as consumer:
                    message = await consumer.poll(10)
                    assert (message.value(), message.headers()) == (placed.body, None)
                    assert otelope.current().id == placed.id
                    await delivered(producer, channel, charged.body)
                    await consumer.commit(message=message, asynchronous=False)
                    assert otelope.current() is None

        asyncio.run(scenario())
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]]
        assert [each.outcome for each in service.deliveries()] == ["ok"]

    def test_foreign_id_has_a_trace_of_its_own_with_links_both_ways(self, service, kafka_server):
        from confluent_kafka.aio import AIOProducer

        sent = make(make_id=foreign_id)

        async def scenario():
            async with AIOProducer({"bootstrap.servers": kafka_server}) as producer:
                with service.provider.get_tracer("app").start_as_current_span(
                    "request"
                ) as request:
                    await delivered(producer, new_channel(), sent.body)
                return request

        request = asyncio.run(scenario())
        (span,) = service.spans("send")
        assert span_spot(span) == sent.spot
        assert links(span) == [span_spot(request)]
        assert links(request) == [sent.spot]

    def test_headers_that_it_refuses_it_still_refuses(self, service, kafka_server):
        from confluent_kafka.aio import AIOProducer

        async def scenario():
            async with AIOProducer({"bootstrap.servers": kafka_server}) as producer:
                with pytest.raises(NotImplementedError, match="Headers are not supported"):
                    await producer.produce(new_channel(), make().body, headers=[("a", b"1")])

        asyncio.run(scenario())
        (span,) = service.spans("send")
        assert span.status.status_code.name == "ERROR"

    def test_serializers_are_passed_by(self, service, kafka_server):
        pytest.importorskip("confluent_kafka.schema_registry")
        from confluent_kafka.aio import AsyncDeserializingConsumer, AsyncSerializingProducer

        channel, event = new_channel(), otelope.envelope("OrderPlaced", {"n": 1})

        async def scenario():
            producer = await AsyncSerializingProducer(
                {
                    "bootstrap.servers": kafka_server,
                    "value.serializer": lambda value, _: json.dumps(value).encode(),
                }
            )
            await delivered(producer, channel, event.to_dict())
            await producer.close()
            reading = {"value.deserializer": lambda value, _: json.loads(value)}
            async with consuming(
                kafka_server, channel, AsyncDeserializingConsumer, **reading
            ) as consumer:
                message = await consumer.poll(10)
                assert message.value() == event.to_dict()
                assert otelope.current().id == event.id

        asyncio.run(scenario())
        assert service.shapes() == [["OrderPlaced", "  process OrderPlaced"]]


async def delivered(producer, channel, value):
    future = await producer.produce(channel, value=value)
    await producer.flush()
    assert (await future).error() is None


@asynccontextmanager
async def consuming(address, channel, kind=None, **settings):
    from confluent_kafka.aio import AIOConsumer

    made = (kind or AIOConsumer)(
        {
            "bootstrap.servers": address,
            "group.id": "contract",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **settings,
        }
    )
    consumer = await made if kind is not None else made
    try:
        await consumer.assign([confluent_kafka.TopicPartition(channel, 0, 0)])
        yield consumer
    finally:
        await consumer.close()


def confluent(address, name):
    """What sends, begins, commits and aborts by the blocking client; and in the others below."""
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "transactional.id": name})
    producer.init_transactions(30)

    async def send(channel, body):
        producer.produce(channel, body)
        assert producer.flush(30) == 0

    async def step(how):
        getattr(producer, f"{how}_transaction")()

    return send, step, in_vain


def confluent_aio(address, name):
    from confluent_kafka.aio import AIOProducer

    producer = AIOProducer({"bootstrap.servers": address, "transactional.id": name})
    ready = asyncio.ensure_future(producer.init_transactions(30))

    async def send(channel, body):
        await delivered(producer, channel, body)

    async def step(how):
        await ready
        await getattr(producer, f"{how}_transaction")()

    return send, step, producer.close


def in_asyncio(address, name):
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id=name)
    ready = asyncio.ensure_future(producer.start())

    async def send(channel, body):
        await producer.send_and_wait(channel, body)

    async def step(how):
        await ready
        await getattr(producer, f"{how}_transaction")()

    return send, step, producer.stop


def in_batches(address, name):
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id=name)
    ready = asyncio.ensure_future(producer.start())

    async def send(channel, body):
        batch = producer.create_batch()
        batch.append(key=None, value=body, timestamp=None)
        await (await producer.send_batch(batch, channel, partition=0))

    async def step(how):
        await ready
        await getattr(producer, f"{how}_transaction")()

    return send, step, producer.stop


def in_python(address, name):
    producer = KafkaProducer(bootstrap_servers=address, transactional_id=name)
    producer.init_transactions()

    async def send(channel, body):
        producer.send(channel, body).get(30)

    async def step(how):
        getattr(producer, f"{how}_transaction")()

    async def close():
        producer.close()

    return send, step, close


async def in_vain():
    pass


TRANSACTING = [confluent, in_asyncio, in_batches]
if importlib.util.find_spec("confluent_kafka.aio"):
    TRANSACTING.append(confluent_aio)
if hasattr(KafkaProducer, "begin_transaction"):
    TRANSACTING.append(in_python)


@pytest.mark.parametrize("made", TRANSACTING, ids=lambda made: made.__name__)
def test_what_a_transaction_sent_is_told_as_aborted_when_it_is(service, kafka_server, made):
    channel = new_channel()
    kept, lost, free = make(), make("OrderPlaced"), make("ChargeCard")

    async def scenario():
        send, step, close = made(kafka_server, channel)
        for envelope, how in ((kept, "commit"), (lost, "abort"), (free, "commit")):
            await step("begin")
            await send(channel, envelope.body)
            await step(how)
        await close()

    with suppress_instrumentation():
        confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka_server}).list_topics(
            channel, timeout=30
        )
    asyncio.run(scenario())
    assert [record.envelope.id for record in service.envelopes()] == [kept.id, lost.id, free.id]
    assert [(s.envelope.id, s.channel, s.outcome, s.error_type) for s in service.done()] == [
        (lost.id, channel, "error", "aborted")
    ]
    (told,) = service.done()
    assert (told.trace_id, told.span_id) == lost.spot
    assert [span_spot(span) for span in service.spans("send")] == [kept.spot, lost.spot, free.spot]


def reading(address, channel):
    consumer = imported("deserializing_consumer").DeserializingConsumer(
        {
            "bootstrap.servers": address,
            "group.id": channel,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "value.deserializer": lambda value, _: json.loads(value),
        }
    )
    consumer.assign([confluent_kafka.TopicPartition(channel, 0, 0)])
    return closing(consumer)


def test_committed_ones_are_the_same_tree_and_aborted_ones_are_not_handled(service, kafka_server):
    channel, lost, kept = new_channel(), make(), make()
    placed = make("OrderPlaced", kept.id)

    async def scenario():
        send, step, _ = confluent(kafka_server, channel)
        for envelope, how in ((lost, "abort"), (kept, "commit"), (placed, "commit")):
            await step("begin")
            await send(channel, envelope.body)
            await step(how)

    asyncio.run(scenario())
    with reading(kafka_server, channel) as consumer:
        received = [consumer.poll(30).value()["id"] for _ in range(2)]
    assert received == [kept.id, placed.id]
    assert service.shapes() == [
        ["PlaceOrder"],
        ["PlaceOrder", "  OrderPlaced", "    process OrderPlaced", "  process PlaceOrder"],
    ]


@pytest.mark.parametrize("client", ["confluent poll", "confluent consume", "aiokafka"])
def test_tombstone_is_no_envelope_and_ends_the_last_handling(service, kafka_server, client):
    channel, sent = new_channel(), make()

    async def by_confluent():
        producer = confluent_kafka.Producer({"bootstrap.servers": kafka_server})
        producer.produce(channel, sent.body, b"order-7")
        producer.produce(channel, None, b"order-7")
        assert producer.flush(30) == 0
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": kafka_server, "group.id": channel}
        )
        consumer.assign([confluent_kafka.TopicPartition(channel, 0, 0)])
        many = client == "confluent consume"
        with closing(consumer):
            for value in (sent.body, None):
                (message,) = consumer.consume(1, 30) if many else [consumer.poll(30)]
                assert (message.key(), message.value()) == (b"order-7", value)
                current = otelope.current()
                assert (current.id if current else None) == (sent.id if value else None)

    async def by_aiokafka():
        async with AIOKafkaProducer(bootstrap_servers=kafka_server) as producer:
            await producer.send_and_wait(channel, sent.body, b"order-7")
            await producer.send_and_wait(channel, None, b"order-7")
        async with AIOKafkaConsumer(
            channel, bootstrap_servers=kafka_server, auto_offset_reset="earliest"
        ) as consumer:
            for value in (sent.body, None):
                record = await consumer.getone()
                assert (record.key, record.value) == (b"order-7", value)
                current = otelope.current()
                assert (current.id if current else None) == (sent.id if value else None)

    asyncio.run(by_aiokafka() if client == "aiokafka" else by_confluent())
    assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]
    assert [each.outcome for each in service.deliveries()] == ["ok"]


def test_value_that_is_an_object_by_then_is_looked_at_as_it_was_sent(service, kafka_server):
    channel, event = new_channel(), otelope.envelope("OrderPlaced", {"n": 1})
    producer = imported("serializing_producer").SerializingProducer(
        {
            "bootstrap.servers": kafka_server,
            "value.serializer": lambda value, _: json.dumps(value).encode(),
        }
    )
    producer.produce(channel, value=event.to_dict())
    producer.produce(channel, value=event.to_dict() | {"id": None})
    assert producer.flush(30) == 0
    with reading(kafka_server, channel) as consumer:
        assert consumer.poll(30).value() == event.to_dict()
        current = otelope.current()
        assert (current.id, current.payload) == (event.id, {"n": 1})
        assert consumer.poll(30).value()["id"] is None
        assert otelope.current() is None
    assert service.shapes() == [["OrderPlaced", "  process OrderPlaced"]]


def test_classes_written_in_c_have_one_stand_in_however_often_they_are_instrumented(service):
    stand_in = confluent_kafka.cimpl.Consumer
    instrumentor.uninstrument()
    assert confluent_kafka.cimpl.Consumer is not stand_in
    service.instrument()
    assert confluent_kafka.cimpl.Consumer is stand_in
