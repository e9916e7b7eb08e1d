"""What only RQ does: retries, dependents, schedules, and workers that fork."""

from __future__ import annotations

import json

from datetime import datetime, timedelta, timezone

import pytest

from redis import Redis
from rq import Queue, Retry, SimpleWorker

import otelope

from otelope.testing.messages import make, new_channel
from otelope.testing.scenario import Scenarios
from otelope.testing.spans import links, span_spot


pytestmark = pytest.mark.redis
# What the jobs of a test saw: they say their functions by name.
_seen = []
FAIL = f"{__name__}.fail_twice"
ACT = f"{__name__}.act"


def act(*_, **__):
    current = otelope.current()
    _seen.append(current.id if current else None)


def fail_twice(_):
    act()
    if len(_seen) < 3:
        raise ValueError("not now")


class TestRq(Scenarios):
    @pytest.fixture
    def queue(self, redis_server):
        _seen.clear()
        with Redis.from_url(redis_server) as connection:
            yield Queue(new_channel(), connection=connection)

    def work(self, queue, **options):
        SimpleWorker([queue], connection=queue.connection).work(burst=True, **options)

    def test_retries_are_handlings_of_what_was_sent_once(self, service, queue):
        sent = make()
        queue.enqueue(FAIL, json.loads(sent.body), retry=Retry(max=3))
        service.forget()
        self.work(queue)
        assert _seen == [sent.id] * 3
        told = [(each.outcome, each.error_type) for each in service.deliveries()]
        assert told == [("error", "ValueError")] * 2 + [("ok", None)]
        # RQ counts the retries that are left, not those that were.
        assert {each.attempt for each in service.deliveries()} == {None}
        assert service.shapes() == [[sent.type, *[f"  process {sent.type}"] * 3]]
        assert [record.recorded_by for record in service.envelopes()] == ["sender"]

    def test_dependents_are_sent_by_who_enqueues_them(self, service, queue):
        placed = make()
        shipped = make("ShipOrder", placed.id)
        first = queue.enqueue(ACT, json.loads(placed.body))
        queue.enqueue(ACT, json.loads(shipped.body), depends_on=first)
        service.forget()
        self.work(queue)
        assert _seen == [placed.id, shipped.id]
        assert service.shapes() == [
            ["PlaceOrder", "  ShipOrder", "    process ShipOrder", "  process PlaceOrder"]
        ]

    @pytest.mark.parametrize("named", [False, True])
    def test_what_is_scheduled_is_sent_once(self, service, queue, named):
        sent = make()
        when = datetime.now(timezone.utc) - timedelta(seconds=1)
        if named:
            queue.enqueue_at(when, ACT, args=(json.loads(sent.body),), kwargs={"order": 7})
        else:
            queue.enqueue_at(when, ACT, json.loads(sent.body), order=7)
        service.forget()
        scheduled = queue.scheduled_job_registry
        for job_id in scheduled.get_jobs_to_schedule():
            scheduled.remove(job_id)
            queue._enqueue_job(queue.fetch_job(job_id))
        self.work(queue)
        assert _seen == [sent.id]
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]

    def test_of_many_at_once_each_is_a_sending_of_its_own(self, service, queue):
        sent = [make() for _ in range(3)]
        meta = {"mine": 1}
        bodies = [each.body for each in (sent[0], sent[1])]
        batch = [
            Queue.prepare_data(ACT, (body,), meta=meta) for body in (*bodies, b"{", sent[2].body)
        ]
        jobs = queue.enqueue_many(iter(batch))
        assert meta == {"mine": 1}
        assert [job.meta["mine"] for job in jobs] == [1] * 4
        assert jobs[2].meta == meta
        self.work(queue)
        assert _seen == [sent[0].id, sent[1].id, None, sent[2].id]
        spans = service.spans("send")
        assert [span_spot(span) for span in spans] == [each.spot for each in sent]
        assert all(links(span) == [] for span in spans)

    def test_a_queue_that_is_not_asynchronous_performs_within_the_sending(self, service, queue):
        sent = make()
        at_once = Queue(queue.name, is_async=False, connection=queue.connection)
        at_once.enqueue(ACT, json.loads(sent.body))
        assert _seen == [sent.id]
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]
        assert otelope.current() is None

    def test_a_function_that_is_not_there_fails(self, service, queue):
        sent = make()
        queue.enqueue(f"{__name__}.nothing", json.loads(sent.body))
        self.work(queue)
        (delivery,) = service.deliveries()
        assert (delivery.envelope.id, delivery.outcome) == (sent.id, "error")
