"""What only huey does: retries, schedules, pipelines, groups and immediate execution."""

from __future__ import annotations

import json

import pytest

from huey import CancelExecution, MemoryHuey, RedisHuey, RetryTask

import otelope

from otelope.testing.messages import make, new_channel
from otelope.testing.scenario import Scenarios


pytestmark = pytest.mark.redis


class TestHuey(Scenarios):
    @pytest.fixture
    def huey(self, redis_server):
        huey = RedisHuey(new_channel(), url=redis_server, blocking=False)
        yield huey
        huey.storage.conn.close()
        huey.storage.pool.disconnect()

    def work(self, huey):
        """What a consumer's scheduler and workers do, until nothing is left."""
        while huey.pending_count() or huey.scheduled_count():
            for task in huey.read_schedule():
                huey.enqueue(task)
            task = huey.dequeue()
            if task is not None:
                huey.execute(task)

    @pytest.mark.parametrize("delay", [0, 0.01])
    @pytest.mark.parametrize("error", [ValueError("not now"), RetryTask(), CancelExecution()])
    def test_retries_are_handlings_of_what_was_sent_once(self, service, huey, error, delay):
        sent, seen = make(), []

        @huey.task(retries=2, retry_delay=delay)
        def act(_):
            seen.append(otelope.current().id)
            if len(seen) < 3:
                raise error

        act(json.loads(sent.body))
        service.forget()
        self.work(huey)
        assert seen == [sent.id] * 3
        told = [(each.outcome, each.error_type) for each in service.deliveries()]
        kind = type(error)
        name = kind.__name__ if kind is ValueError else f"huey.exceptions.{kind.__name__}"
        assert told == [("error", name)] * 2 + [("ok", None)]
        assert service.shapes() == [[sent.type, *[f"  process {sent.type}"] * 3]]
        assert [each.operation for each in service.done()] == ["process"] * 3

    def test_what_is_scheduled_is_sent_once(self, service, huey):
        sent, seen = make(), []

        @huey.task()
        def act(_):
            seen.append(otelope.current().id)

        act.schedule(args=(json.loads(sent.body),), delay=0.02)
        service.forget()
        self.work(huey)
        assert seen == [sent.id]
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]

    def test_what_a_pipeline_passes_on_is_caused_by_what_made_it(self, service, huey):
        placed = make()
        shipped = make("ShipOrder", placed.id)
        seen = []

        @huey.task()
        def place(_):
            return (json.loads(shipped.body),)

        @huey.task()
        def ship(body):
            seen.append((otelope.current().id, body["id"]))

        huey.enqueue(place.s(json.loads(placed.body)).then(ship))
        service.forget()
        self.work(huey)
        assert seen == [(shipped.id, shipped.id)]
        assert service.shapes() == [
            ["PlaceOrder", "  process PlaceOrder", "    ShipOrder", "      process ShipOrder"]
        ]

    def test_each_of_many_is_sent(self, service, huey):
        sent = [make() for _ in range(3)]

        @huey.task()
        def act(_):
            pass

        act.map([json.loads(each.body) for each in sent])
        self.work(huey)
        assert [each.envelope.id for each in service.envelopes()] == [each.id for each in sent]
        assert service.shapes() == [[each.type, f"  process {each.type}"] for each in sent]

    def test_what_is_executed_immediately_is_handled_within_its_sending(self, service):
        huey = MemoryHuey(immediate=True)
        sent, seen = make(), []

        @huey.task(retries=1)
        def act(_):
            seen.append(otelope.current().id)
            if len(seen) == 1:
                raise ValueError("not now")

        act(json.loads(sent.body))
        assert seen == [sent.id] * 2
        assert [each.outcome for each in service.deliveries()] == ["error", "ok"]
        assert [each.envelope.id for each in service.envelopes()] == [sent.id]
        assert len(service.spans("send")) == 1
        assert service.spans("send")[0].attributes["messaging.system"] == "huey"
        assert otelope.current() is None

    def test_a_task_that_is_put_back_by_hand_is_the_librarys(self, service, huey):
        sent = make()

        @huey.task()
        def act(_):
            pass

        act(json.loads(sent.body))
        taken = huey.dequeue()
        service.forget()
        huey.enqueue(taken)
        assert len(service.spans("send")) == 1
