"""What only kombu does: bodies that are objects, exchanges, consumers that Celery has, too."""

from __future__ import annotations

import json

from contextlib import suppress

import pytest

from kombu import Connection, Consumer, Exchange, Producer, Queue

import otelope

from otelope.testing.messages import foreign_id, make, new_channel
from otelope.testing.scenario import Scenarios


SERVERS = [
    pytest.param("rabbitmq_server", marks=pytest.mark.rabbitmq),
    pytest.param("redis_server", marks=pytest.mark.redis),
]


class TestKombu(Scenarios):
    @pytest.fixture(params=SERVERS)
    def connection(self, request):
        with Connection(request.getfixturevalue(request.param)) as connection:
            yield connection

    @pytest.mark.parametrize("serializer", ["json", "yaml"])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_object_is_an_envelope_whatever_serializes_it(
        self, service, connection, serializer, compression
    ):
        queue = Queue(new_channel())(connection)
        queue.declare()
        body = json.loads(make(make_id=foreign_id).body)
        before = json.dumps(body)
        connection.Producer().publish(
            body, queue.name, serializer=serializer, compression=compression
        )
        seen = []

        def received(got, message):
            seen.append((got, otelope.current()))
            message.ack()

        consume(connection, queue, [received])
        assert json.dumps(body) == before
        ((got, envelope),) = seen
        assert got == body
        assert envelope.payload == body["payload"]
        assert service.shapes() == [[body["type"], f"  process {body['type']}"]]

    def test_several_callbacks_are_one_handling(self, service, connection):
        queue = Queue(new_channel())(connection)
        queue.declare()
        sent = make()
        connection.Producer().publish(json.loads(sent.body), queue.name)
        seen = []

        def first(_, message):
            seen.append(otelope.current().id)

        def second(_, message):
            seen.append(otelope.current().id)
            message.ack()

        consume(connection, queue, [first, second])
        assert seen == [sent.id] * 2
        assert [delivery.outcome for delivery in service.deliveries()] == ["ok"]

    def test_exchange_and_key_of_the_producer_are_the_destination(self, service, connection):
        exchange = Exchange(new_channel(), "topic", durable=False, auto_delete=True)
        queue = Queue(new_channel(), exchange, "order.#", durable=False)(connection)
        queue.declare()
        producer = Producer(connection, exchange, "order.placed")
        producer.publish(json.loads(make().body))
        producer.publish(json.loads(make().body), "order.paid", exchange=exchange.name)
        consume(connection, queue, [lambda _, message: message.ack()], 2)
        names = [f"{exchange.name}:order.{what}" for what in ("placed", "paid")]
        for operation in ("send", "process"):
            spans = service.spans(operation)
            assert [span.name for span in spans] == [f"{operation} {name}" for name in names]

    def test_what_is_rejected_failed(self, service, connection):
        queue = Queue(new_channel())(connection)
        queue.declare()
        connection.Producer().publish(json.loads(make().body), queue.name)
        consume(connection, queue, [lambda _, message: message.reject()])
        told = [(each.outcome, each.error_type) for each in service.deliveries()]
        assert told == [("error", "rejected")]

    def test_what_is_got_without_acknowledgement_is_handled_until_the_connection_closes(
        self, service, connection
    ):
        queue = Queue(new_channel())(connection)
        queue.declare()
        sent = make()
        connection.Producer().publish(json.loads(sent.body), queue.name)
        while queue.get(no_ack=True) is None:
            pass
        assert otelope.current().id == sent.id
        assert service.deliveries() == []
        connection.close()
        assert otelope.current() is None
        assert [delivery.outcome for delivery in service.deliveries()] == ["ok"]


def consume(connection, queue, callbacks, count=1):
    handled = []
    callbacks = [*callbacks, lambda *_: handled.append(1)]
    with Consumer(connection, [queue], callbacks=callbacks, accept=["json", "yaml"]):
        for _ in range(200):
            if len(handled) == count:
                break
            with suppress(TimeoutError):
                connection.drain_events(timeout=0.1)
    assert len(handled) == count
    queue.delete()
