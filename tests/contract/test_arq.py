"""What only arq does: deferred jobs, retries, jobs of one id, cron jobs."""

from __future__ import annotations

import asyncio
import json

from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone

import pytest

from arq import ArqRedis, Retry, Worker, create_pool, cron, func
from arq.connections import RedisSettings
from arq.worker import FailedJobs

import otelope

from otelope.testing.messages import make, new_channel
from otelope.testing.scenario import Scenarios
from otelope.testing.spans import span_spot


pytestmark = pytest.mark.redis
_CLOSE = "aclose" if hasattr(ArqRedis, "aclose") else "close"  # renamed in redis 5.0.1
CANCELLED = "asyncio.exceptions.CancelledError"


def told(service):
    return [
        (each.outcome, each.error_type, each.attempt, each.redelivered)
        for each in service.deliveries()
    ]


class TestArq(Scenarios):
    @pytest.fixture
    def queue(self):
        return new_channel()

    @pytest.fixture
    def run(self, redis_server, queue):
        """Runs a scenario with a pool, and what works until the queue is empty."""

        @asynccontextmanager
        async def opened(name):
            settings = RedisSettings.from_dsn(redis_server)
            pool = await create_pool(settings, default_queue_name=name)
            try:
                yield pool
            finally:
                await getattr(pool, _CLOSE)()

        async def scenario_in(scenario):
            # As users share one pool among workers, its queue is not the worker's.
            async with opened(queue) as pool, opened("another") as shared:

                def worker(*functions, **options):
                    known = {"burst": True, "poll_delay": 0.01, "handle_signals": False}
                    known |= {"queue_name": queue, "redis_pool": shared}
                    return Worker(functions, **{**known, **options})

                await asyncio.wait_for(scenario(pool, worker), 20)

        return lambda scenario: asyncio.run(scenario_in(scenario))

    @pytest.mark.parametrize("defer", [None, 0.01])
    def test_retries_are_handlings_of_what_was_sent_once(self, service, run, queue, defer):
        sent, seen = make(), []

        async def act(ctx, body):
            seen.append((otelope.current().id, ctx["job_try"]))
            if len(seen) < 3:
                raise Retry(defer)

        async def scenario(pool, worker):
            await pool.enqueue_job("act", json.loads(sent.body))
            service.forget()
            assert await worker(func(act, name="act")).run_check() == 1

        run(scenario)
        assert seen == [(sent.id, attempt) for attempt in (1, 2, 3)]
        assert told(service) == [
            ("error", "arq.worker.Retry", 1, False),
            ("error", "arq.worker.Retry", 2, True),
            ("ok", None, 3, True),
        ]
        assert service.shapes() == [[sent.type, *[f"  process {sent.type}"] * 3]]
        assert {each.channel for each in service.deliveries()} == {queue}

    @pytest.mark.parametrize("how", ["_defer_by", "_defer_until"])
    def test_what_is_deferred_is_sent_once_and_handled_when_its_time_comes(
        self, service, run, how
    ):
        sent, seen = make(), []

        async def act(ctx, body):
            seen.append(otelope.current().id)

        async def scenario(pool, worker):
            soon = timedelta(milliseconds=30)
            at = soon if how == "_defer_by" else datetime.now(timezone.utc) + soon
            await pool.enqueue_job("act", json.loads(sent.body), **{how: at})
            service.forget()
            await worker(func(act, name="act")).async_run()

        run(scenario)
        assert seen == [sent.id]
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]
        assert len(service.spans("send")) == 1

    def test_a_job_that_fails_is_told_and_run_check_says_so(self, service, run, queue):
        error = ValueError("no such order")

        async def act(ctx, body):
            raise error

        async def scenario(pool, worker):
            await pool.enqueue_job("act", json.loads(make().body))
            with pytest.raises(FailedJobs) as caught:
                await worker(func(act, name="act")).run_check()
            # It says what failed in any queue, of other tests too.
            (result,) = [r for r in caught.value.job_results if r.queue_name == queue]
            assert (type(result.result), str(result.result)) == (ValueError, "no such order")

        run(scenario)
        assert told(service) == [("error", "ValueError", 1, False)]

    def test_a_job_that_takes_too_long_is_told_as_cancelled(self, service, run):
        async def act(ctx, body):
            await asyncio.Event().wait()

        async def scenario(pool, worker):
            await pool.enqueue_job("act", json.loads(make().body))
            with pytest.raises(FailedJobs):
                await worker(func(act, name="act", timeout=0.02)).run_check()

        run(scenario)
        ((outcome, error_type, attempt, _),) = told(service)
        assert (outcome, error_type, attempt) == ("error", CANCELLED, 1)

    def test_a_worker_that_stops_hands_the_job_to_the_next(self, service, run):
        sent, seen = make(), []

        async def act(ctx, body):
            seen.append(otelope.current().id)
            if len(seen) == 1:
                stopped.set_result(None)
                await asyncio.Event().wait()

        async def scenario(pool, worker):
            nonlocal stopped
            stopped = asyncio.get_running_loop().create_future()
            await pool.enqueue_job("act", json.loads(sent.body))
            first = worker(func(act, name="act"))
            working = asyncio.ensure_future(first.async_run())
            await stopped
            first.handle_sig(15)
            await asyncio.gather(working, *first.tasks.values(), return_exceptions=True)
            await worker(func(act, name="act")).async_run()

        stopped = None
        run(scenario)
        assert seen == [sent.id] * 2
        assert told(service) == [
            ("error", CANCELLED, 1, False),
            ("ok", None, 2, True),
        ]

    def test_a_second_job_of_one_id_was_not_sent(self, service, run):
        sent = make(), make()

        async def scenario(pool, worker):
            for each in sent:
                job = await pool.enqueue_job("act", json.loads(each.body), _job_id=sent[0].id)
                assert (job is None) == (each is sent[1])

        run(scenario)
        first, second = service.spans("send")
        assert [span_spot(span) for span in (first, second)] == [each.spot for each in sent]
        assert "error.type" not in first.attributes
        assert second.attributes["error.type"] == "exists"

    def test_cron_jobs_are_no_envelopes_and_cause_nothing(self, service, run):
        sent, seen = make(), []

        async def remind(ctx):
            seen.append(otelope.current())
            await ctx["redis"].enqueue_job("act", json.loads(sent.body), _queue_name="elsewhere")

        async def scenario(pool, worker):
            at_once = cron(remind, run_at_startup=True)
            await worker(cron_jobs=[at_once], max_burst_jobs=1).async_run()

        run(scenario)
        assert seen == [None]
        assert service.deliveries() == []
        assert service.shapes() == [[sent.type]]

    def test_a_job_says_what_it_likes_by_name(self, service, run):
        sent, seen = make(), []

        async def act(ctx, **named):
            seen.append(named)

        named = {"wrapping": json.loads(sent.body), "message_of": 1, "channel": 2, "call": 3}

        async def scenario(pool, worker):
            await pool.enqueue_job("act", **named)
            await worker(func(act, name="act")).async_run()

        run(scenario)
        assert seen == [named]
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]

    def test_a_job_without_an_envelope_and_one_that_is_no_job_are_let_be(self, service, run):
        seen = []

        async def act(ctx, *args):
            seen.append(args)
            return otelope.current()

        made = func(act, name="act")

        async def scenario(pool, worker):
            await pool.enqueue_job("act", 7, b"{not JSON", {"order": 7})
            await worker(made).async_run()
            assert await made.coroutine(None, json.loads(make().body)) is None
            assert await made.coroutine({}, json.loads(make().body)) is None

        run(scenario)
        assert seen[0] == (7, b"{not JSON", {"order": 7})
        assert (service.spans(), service.records) == ([], [])

    def test_what_a_job_sends_is_caused_by_it_and_its_answer_is_its_result(
        self, service, run, queue
    ):
        placed = make()
        shipped = make("OrderPlaced", placed.id)

        async def act(ctx, body):
            if body["id"] == placed.id:
                await ctx["redis"].enqueue_job("act", json.loads(shipped.body), _queue_name=queue)
            return body["id"]

        async def scenario(pool, worker):
            job = await pool.enqueue_job("act", json.loads(placed.body))
            await worker(func(act, name="act")).async_run()
            assert await job.result(1) == placed.id

        run(scenario)
        assert service.shapes() == [
            ["PlaceOrder", "  process PlaceOrder", "    OrderPlaced", "      process OrderPlaced"]
        ]
