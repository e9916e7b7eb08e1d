"""What only dramatiq does: retries, delays and pipelines, in its worker's own threads."""

from __future__ import annotations

import json
import threading

from contextlib import contextmanager

import pytest

from dramatiq import Actor, Worker, pipeline
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Pipelines, Retries

import otelope

from otelope.testing.messages import make, new_channel
from otelope.testing.scenario import Scenarios


BROKERS = {"rabbitmq_server": RabbitmqBroker, "redis_server": RedisBroker}
SERVERS = [
    pytest.param("rabbitmq_server", marks=pytest.mark.rabbitmq),
    pytest.param("redis_server", marks=pytest.mark.redis),
]


class TestDramatiq(Scenarios):
    @pytest.fixture(params=SERVERS)
    def broker(self, request):
        middleware = [Pipelines(), Retries(min_backoff=1, max_backoff=2)]
        address = request.getfixturevalue(request.param)
        broker = BROKERS[request.param](url=address, middleware=middleware)
        yield broker
        broker.close()

    @pytest.fixture
    def actor(self, broker):
        def declare(function, **options):
            name = new_channel()
            return Actor(
                function,
                broker=broker,
                actor_name=name,
                queue_name=name,
                priority=0,
                options=options,
            )

        return declare

    @pytest.fixture
    def work(self, broker):
        """Handles what comes until it is done."""

        @contextmanager
        def work(*actors):
            done = threading.Event()
            worker = Worker(broker, worker_timeout=20, worker_threads=1)
            worker.start()
            try:
                yield done
                assert done.wait(20)
                for actor in actors:
                    broker.join(actor.queue_name, timeout=10_000)
                worker.join()
            finally:
                worker.stop()

        return work

    def test_retries_are_handlings_of_what_was_sent_once(self, service, actor, work):
        sent = make()

        def fail_twice(_):
            if len(service.deliveries()) < 2:
                raise ValueError("not now")
            done.set()

        place = actor(fail_twice, max_retries=3)
        with work(place) as done:
            place.send(json.loads(sent.body))
        assert [(d.outcome, d.error_type, d.attempt) for d in service.deliveries()] == [
            ("error", "ValueError", 1),
            ("error", "ValueError", 2),
            ("ok", None, 3),
        ]
        assert [each.redelivered for each in service.deliveries()] == [False, True, True]
        assert service.shapes() == [[sent.type, *[f"  process {sent.type}"] * 3]]
        assert [record.envelope.id for record in service.envelopes()] == [sent.id]

    def test_what_is_delayed_is_sent_once(self, service, actor, work):
        sent = make()
        place = actor(lambda _: done.set())
        with work(place) as done:
            service.forget()
            place.send_with_options(args=(json.loads(sent.body),), delay=10)
            # In a worker that knows nothing of it.
            service.forget()
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]
        assert [span.name for span in service.spans("send")] == [f"send {place.queue_name}"]

    def test_what_a_pipeline_passes_on_is_caused_by_what_made_it(
        self, service, actor, broker, work
    ):
        placed = make()
        shipped = make("ShipOrder", placed.id)
        seen = []

        def last(body):
            seen.append((otelope.current().id, body["id"]))
            done.set()

        first, second = actor(lambda _: json.loads(shipped.body)), actor(last)
        with work(first, second) as done:
            steps = [first.message(json.loads(placed.body)), second.message()]
            pipeline(steps, broker=broker).run()
        assert seen == [(shipped.id, shipped.id)]
        assert service.shapes() == [
            ["PlaceOrder", "  process PlaceOrder", "    ShipOrder", "      process ShipOrder"]
        ]

    def test_the_first_argument_that_is_an_envelope_is_what_a_message_carries(
        self, service, actor, work
    ):
        first, second = make(), make("OrderPlaced")
        place = actor(lambda *_, **__: done.set())
        with work(place) as done:
            place.send(
                7, {"order": 7}, note="{", text=first.body.decode(), other=second.body.decode()
            )
        assert [record.envelope.id for record in service.envelopes()] == [first.id]
        assert [each.envelope.id for each in service.deliveries()] == [first.id]

    def test_what_is_sent_back_keeps_the_callers_message(self, service, actor, broker):
        place = actor(lambda _: None)
        message = place.message(json.loads(make().body))
        options = dict(message.options)
        answered = broker.enqueue(message)
        assert message.options == options
        assert answered.message_id == message.message_id
        assert answered.args == message.args
