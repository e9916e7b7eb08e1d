"""What only Pulsar has: callbacks of senders, acknowledgements by id or of all before, readers."""

from __future__ import annotations

import queue
import threading

from contextlib import suppress

import pulsar
import pytest

from pulsar.schema import JsonSchema, Long, Record, String

import otelope

from otelope.testing.messages import make, new_channel
from otelope.testing.spans import links
from tests.contract.drivers.pulsar import connected
from tests.service import attempts, failed, told


pytestmark = pytest.mark.pulsar
SHARED = {
    "consumer_type": pulsar.ConsumerType.Shared,
    "initial_position": pulsar.InitialPosition.Earliest,
    "negative_ack_redelivery_delay_ms": 10,
}
PATIENCE_MS = 10_000


class Order(Record):
    id = String()
    type = String()
    timestamp = Long()
    source = String()


@pytest.fixture
def topic():
    return new_channel()


@pytest.fixture
def client(pulsar_server):
    client = connected(pulsar_server)
    yield client
    with suppress(pulsar.AlreadyClosed):
        client.close()


@pytest.fixture
def send(client, topic):
    """Sends these bodies."""
    producer = client.create_producer(topic)

    def send(*bodies):
        for body in bodies:
            producer.send(body)

    return send


@pytest.fixture
def consumer(client, topic):
    batches = pulsar.ConsumerBatchReceivePolicy(3, -1, PATIENCE_MS)
    return client.subscribe(topic, "workers", batch_receive_policy=batches, **SHARED)


class TestSending:
    def test_callback_gets_what_the_broker_says(self, service, client, topic):
        sent, said = make(), queue.SimpleQueue()
        producer = client.create_producer(topic)
        producer.send_async(sent.body, lambda *answer: said.put(answer))
        result, id_ = said.get(timeout=10)
        assert (result, id_.entry_id()) == (pulsar.Result.Ok, 0)
        assert failed(service) == []
        assert service.shapes() == [["PlaceOrder"]]

    @pytest.mark.parametrize("by_name", [True, False])
    def test_what_the_broker_does_not_take_is_told_as_failed(
        self, service, client, topic, by_name
    ):
        sent, said = make(), queue.SimpleQueue()
        producer = client.create_producer(f"{topic}-silent", send_timeout_millis=50)

        def callback(result, _):
            said.put(result)

        if by_name:
            producer.send_async(content=sent.body, callback=callback)
        else:
            producer.send_async(sent.body, callback)
        assert said.get(timeout=10) == pulsar.Result.Timeout
        assert failed(service) == [(sent.id, "Timeout")]

    def test_a_callback_that_is_none_is_the_librarys_to_refuse(self, service, client, topic):
        with pytest.raises(TypeError):
            client.create_producer(topic).send_async(make().body)
        with pytest.raises(TypeError):
            client.create_producer(topic).send_async(make().body, 7)

    def test_what_a_schema_makes_of_an_object_is_an_envelope(self, service, client, topic):
        sent = make()
        schema = JsonSchema(Order)
        order = Order(id=sent.id, type=sent.type, timestamp=sent.timestamp, source="shop")
        client.create_producer(topic, schema=schema).send(order)
        consumer = client.subscribe(topic, "workers", schema=schema, **SHARED)
        message = consumer.receive(PATIENCE_MS)
        assert (message.value().id, otelope.current().id) == (sent.id, sent.id)
        consumer.acknowledge(message)
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_topic_of_another_namespace_says_so(self, service, client, topic):
        client.create_producer(f"persistent://shop/main/{topic}").send(make().body)
        client.create_producer(f"non-persistent://public/default/{topic}").send(make().body)
        assert [span.name for span in service.spans()] == [
            f"send shop/main/{topic}",
            f"send {topic}",
        ]


class TestReceiving:
    def test_redeliveries_are_counted(self, service, send, consumer):
        sent = make()
        send(sent.body)
        for settle in ("negative_acknowledge", "negative_acknowledge", "acknowledge"):
            message = consumer.receive(PATIENCE_MS)
            assert otelope.current().id == sent.id
            getattr(consumer, settle)(message)
            assert otelope.current() is None
        assert told(service) == [
            (sent.id, "error", "rejected"),
            (sent.id, "error", "rejected"),
            (sent.id, "ok", None),
        ]
        assert attempts(service) == [(1, False), (2, True), (3, True)]
        assert service.shapes() == [["PlaceOrder", *["  process PlaceOrder"] * 3]]

    @pytest.mark.parametrize(
        "form",
        [
            lambda message: message,
            lambda message: message._message,
            lambda message: message.message_id(),
            lambda message: pulsar.MessageId.deserialize(message.message_id().serialize()),
        ],
        ids=["message", "the extension's message", "id", "deserialized id"],
    )
    def test_acknowledged_in_every_form(self, service, send, consumer, form):
        sent = make()
        send(sent.body)
        message = consumer.receive(PATIENCE_MS)
        consumer.acknowledge(form(message))
        assert otelope.current() is None
        assert told(service) == [(sent.id, "ok", None)]

    def test_each_message_of_a_batch_has_its_outcome(self, service, send, consumer):
        good, poison = make(), make("OrderPlaced")
        send(good.body, b"{not JSON", poison.body)
        first, plain, last = consumer.batch_receive()
        assert plain.data() == b"{not JSON"
        consumer.acknowledge(first)
        consumer.acknowledge(plain)
        assert service.deliveries() == []
        consumer.negative_acknowledge(last)
        assert told(service) == [(good.id, "ok", None), (poison.id, "error", "rejected")]
        (span,) = service.spans("process")
        assert links(span) == [good.spot, poison.spot]

    def test_all_before_one_are_acknowledged_at_once(self, service, send, client, topic):
        sent = [make() for _ in range(3)]
        send(*(each.body for each in sent))
        batches = pulsar.ConsumerBatchReceivePolicy(3, -1, PATIENCE_MS)
        first = pulsar.InitialPosition.Earliest
        consumer = client.subscribe(
            topic, "alone", batch_receive_policy=batches, initial_position=first
        )
        consumer.acknowledge_cumulative(consumer.batch_receive()[-1])
        assert told(service) == [(each.id, "ok", None) for each in sent]

    def test_subscriptions_of_one_topic_do_not_mix(self, service, send, client, consumer, topic):
        sent = make()
        send(sent.body)
        other = client.subscribe(topic, "others", **SHARED)

        def refuse():
            other.negative_acknowledge(other.receive(PATIENCE_MS))

        mine = consumer.receive(PATIENCE_MS)
        thread = threading.Thread(target=refuse)
        thread.start()
        thread.join()
        assert otelope.current().id == sent.id
        consumer.acknowledge(mine)
        assert told(service) == [(sent.id, "error", "rejected"), (sent.id, "ok", None)]

    def test_threads_that_share_a_consumer_do_not_mix(self, service, send, consumer):
        sent = [make() for _ in range(2)]
        send(*(each.body for each in sent))
        together, seen = threading.Barrier(2), []

        def work():
            message = consumer.receive(PATIENCE_MS)
            together.wait(10)
            seen.append(otelope.current().id.encode() in message.data())
            together.wait(10)
            consumer.acknowledge(message)

        threads = [threading.Thread(target=work) for _ in sent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [True, True]
        assert sorted(told(service)) == sorted((each.id, "ok", None) for each in sent)

    @pytest.mark.parametrize("end", ["unsubscribe", "close", "client"])
    def test_what_ends_a_subscription_ends_the_handling(
        self, service, send, client, consumer, end
    ):
        sent = make()
        send(sent.body)
        consumer.receive(PATIENCE_MS)
        assert otelope.current().id == sent.id
        if end == "client":
            client.close()
        else:
            getattr(consumer, end)()
        assert otelope.current() is None
        assert told(service) == [(sent.id, "ok", None)]

    def test_a_timeout_is_the_librarys_and_ends_what_came_before(self, service, send, consumer):
        sent = make()
        send(sent.body)
        consumer.receive(PATIENCE_MS)
        with pytest.raises(pulsar.Timeout):
            consumer.receive(1)
        assert otelope.current() is None
        assert told(service) == [(sent.id, "ok", None)]


class TestCallbacks:
    def test_a_listener_that_fails_does_not_stop_the_next_message(
        self, service, send, client, topic
    ):
        poison, good, handled = make(), make(), queue.SimpleQueue()

        def listener(consumer, message):
            try:
                if message.data() == poison.body:
                    raise ValueError("no such order")
                assert otelope.current().id == good.id
                consumer.acknowledge(message)
            finally:
                handled.put(message.data())

        consumer = client.subscribe(topic, "workers", message_listener=listener, **SHARED)
        send(poison.body, good.body)
        assert [handled.get(timeout=10) for _ in range(2)] == [poison.body, good.body]
        consumer.close()
        assert told(service) == [(poison.id, "error", "ValueError"), (good.id, "ok", None)]

    def test_a_reader_reads_again_what_was_handled(self, service, send, client, topic):
        sent, seen = make(), queue.SimpleQueue()
        send(sent.body)

        def listener(reader, message):
            seen.put(otelope.current().id)

        first = pulsar.MessageId.earliest
        listening = client.create_reader(topic, first, reader_listener=listener)
        assert seen.get(timeout=10) == sent.id
        listening.close()
        reader = client.create_reader(topic, first)
        reader.read_next(PATIENCE_MS)
        assert otelope.current().id == sent.id
        reader.close()
        assert told(service) == [(sent.id, "ok", None)] * 2
