"""What only taskiq does: retries, labels, and functions that run in threads."""

from __future__ import annotations

import asyncio
import json

from contextlib import aclosing, asynccontextmanager
from importlib.metadata import version

import pytest

from packaging.version import Version
from taskiq import SimpleRetryMiddleware
from taskiq.kicker import AsyncKicker
from taskiq.receiver import Receiver
from taskiq_redis import ListQueueBroker

import otelope

from otelope.testing.messages import make, new_channel
from otelope.testing.scenario import Scenarios
from otelope.testing.spans import span_spot


pytestmark = pytest.mark.redis
_SHARES = Version(version("taskiq")) >= Version("0.11.19")


class TestTaskiq(Scenarios):
    @pytest.fixture
    def run(self, redis_server):
        """Runs a scenario with a broker, and a function that handles so many tasks."""

        @asynccontextmanager
        async def opened():
            broker = ListQueueBroker(redis_server, queue_name=new_channel())
            broker.add_middlewares(SimpleRetryMiddleware(3, no_result_on_retry=False))
            try:
                yield broker
            finally:
                await broker.shutdown()

        async def handle(broker, count):
            receiver = Receiver(broker, max_async_tasks=1)
            async with aclosing(broker.listen()) as messages:
                async for message in messages:
                    await receiver.callback(message)
                    count -= 1
                    if not count:
                        return

        async def work(scenario):
            async with opened() as broker:
                await scenario(broker, lambda count: asyncio.wait_for(handle(broker, count), 20))

        return lambda scenario: asyncio.run(work(scenario))

    def test_retries_are_handlings_of_what_was_sent_once(self, service, run):
        sent, seen = make(), []

        async def act(body: dict) -> None:
            seen.append(otelope.current().id)
            if len(seen) < 3:
                raise ValueError("not now")

        async def scenario(broker, handle):
            task = broker.register_task(act, task_name="act", retry_on_error=True)
            await task.kiq(json.loads(sent.body))
            service.forget()
            await handle(3)

        run(scenario)
        assert seen == [sent.id] * 3
        assert [
            (each.outcome, each.error_type, each.attempt) for each in service.deliveries()
        ] == [
            ("error", "ValueError", 1),
            ("error", "ValueError", 2),
            ("ok", None, 3),
        ]
        assert service.shapes() == [[sent.type, *[f"  process {sent.type}"] * 3]]

    def test_what_the_librarys_middleware_makes_of_an_error_is_what_is_told(self, service, run):
        async def act(body: dict) -> None:
            raise ValueError("not now")

        async def scenario(broker, handle):
            broker.middlewares[0].no_result_on_retry = True
            task = broker.register_task(act, task_name="act", retry_on_error=True)
            await task.kiq(json.loads(make().body))
            await handle(1)

        run(scenario)
        told = [(each.outcome, each.error_type) for each in service.deliveries()]
        assert told == [("error", "taskiq.exceptions.NoResultError")]

    def test_a_function_that_runs_in_a_thread_knows_what_it_handles(self, service, run):
        sent, seen = make(), []

        def act(body: dict) -> None:
            seen.append(otelope.current())

        async def scenario(broker, handle):
            await broker.register_task(act, task_name="act").kiq(json.loads(sent.body))
            await handle(1)

        run(scenario)
        # Since 0.11.19, taskiq runs it in the context that it was in.
        assert [envelope and envelope.id for envelope in seen] == [sent.id if _SHARES else None]
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]

    def test_a_kicker_keeps_its_labels(self, service, run):
        sent = [make(), make()]

        async def scenario(broker, _):
            labels = {"mine": 1}
            kicker = AsyncKicker("act", broker, labels)
            for each in sent:
                await kicker.kiq(json.loads(each.body))
            assert kicker.labels == labels == {"mine": 1}

        run(scenario)
        assert [span_spot(span) for span in service.spans("send")] == [each.spot for each in sent]
