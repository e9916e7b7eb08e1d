"""What only Redis has: pipelines, entries that others left, lists of what is at work."""

from __future__ import annotations

import asyncio
import gc
import threading

from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import redis

from redis import asyncio as redis_asyncio

import otelope

from otelope.testing import run_inline
from otelope.testing.driver import run_in_loop
from otelope.testing.messages import foreign_id, make, new_channel
from otelope.testing.spans import links, parent, span_spot
from tests.contract.drivers.redis_streams import answered
from tests.service import current, told


pytestmark = pytest.mark.redis


def address_of(server):
    at = urlsplit(server)
    return {"host": at.hostname, "port": at.port}


def again(service):
    return [each.redelivered for each in service.deliveries()]


@pytest.fixture
def key():
    return new_channel()


@pytest.fixture(params=["sync", "asyncio"])
def run(request, redis_server):
    """Runs a scenario with a client, sync or asyncio."""
    library, how = {"sync": (redis, run_inline), "asyncio": (redis_asyncio, run_in_loop)}[
        request.param
    ]

    @asynccontextmanager
    async def opened():
        client = library.Redis(**address_of(redis_server), socket_timeout=20)
        try:
            yield client
        finally:
            await answered(client.aclose() if hasattr(client, "aclose") else client.close())

    async def work(scenario):
        async with opened() as client:
            await scenario(client)

    return lambda scenario: how(work(scenario))


@pytest.mark.parametrize("transaction", [True, False], ids=["transaction", "plain"])
class TestPipelines:
    def test_each_command_is_a_sending_of_its_own(self, service, run, key, transaction):
        sent = [make() for _ in range(4)]

        async def scenario(client):
            pipe = client.pipeline(transaction=transaction)
            assert pipe.xadd(key, {"order": sent[0].body, "x-app": "1"}, maxlen=9) is pipe
            pipe.set(f"{key}set", "1").rpush(f"{key}list", sent[1].body, b"plain", sent[2].body)
            pipe.publish(f"{key}channel", sent[3].body)
            assert (service.spans(), service.records) == ([], [])
            answers = await answered(pipe.execute())
            assert answers[1:] == [True, 3, 0]
            ((_, fields),) = await answered(client.xrange(key))
            assert fields.keys() == {b"order", b"x-app", b"traceparent", b"tracestate"}
            assert fields[b"order"] == sent[0].body

        run(scenario)
        assert [span_spot(span) for span in service.spans("send")] == [e.spot for e in sent]
        assert [span.name for span in service.spans("send")] == [
            f"send {key}",
            f"send {key}list",
            f"send {key}list",
            f"send {key}channel",
        ]
        assert [parent(span) for span in service.spans("send")] == [None] * 4

    def test_what_is_thrown_away_was_never_sent(self, service, run, key, transaction):
        async def scenario(client):
            pipe = client.pipeline(transaction=transaction)
            pipe.xadd(key, {"order": make().body}).rpush(f"{key}list", make().body)
            await answered(pipe.reset())
            assert await answered(pipe.execute()) == []

        run(scenario)
        assert (service.spans(), service.records) == ([], [])

    def test_command_that_is_refused_is_the_one_that_failed(self, service, run, key, transaction):
        good, bad, listed = make(), make(), make()

        async def scenario(client):
            await answered(client.set(f"{key}set", "1"))
            pipe = client.pipeline(transaction=transaction)
            pipe.xadd(key, {"order": good.body}).xadd(f"{key}set", {"order": bad.body})
            pipe.rpush(f"{key}set", listed.body)
            answers = await answered(pipe.execute(raise_on_error=False))
            assert isinstance(answers[1], redis.ResponseError)

        run(scenario)
        failed = [(e.envelope.id, e.outcome, e.error_type) for e in service.done()]
        error = ("error", "redis.exceptions.ResponseError")
        assert sorted(failed) == sorted([(bad.id, *error), (listed.id, *error)])

    def test_options_before_the_id_are_let_be(self, service, run, key, transaction):
        sent = [make() for _ in range(4)]
        options = [
            {"maxlen": 5, "approximate": False},
            {"maxlen": 5, "limit": 3},
            {"minid": "1-0", "id": "9-1"},
            {"nomkstream": True, "id": b"9-2"},
        ]

        async def scenario(client):
            pipe = client.pipeline(transaction=transaction)
            for each, given in zip(sent, options, strict=True):
                pipe.xadd(key, {"order": each.body}, **given)
            answers = await answered(pipe.execute(raise_on_error=False))
            # By the clock, the first two have higher ids than the others.
            assert [isinstance(a, bytes) for a in answers] == [True, True, False, False]
            entries = await answered(client.xrange(key))
            assert [fields[b"order"] for _, fields in entries] == [e.body for e in sent[:2]]
            assert all(fields[b"tracestate"] for _, fields in entries)

        run(scenario)
        assert {span_spot(span) for span in service.spans("send")} == {e.spot for e in sent}


def test_what_is_sent_while_keys_are_watched_is_sent_at_once(service, run, key):
    at_once, queued = make(), make()

    async def scenario(client):
        pipe = client.pipeline()
        await answered(pipe.watch(f"{key}set"))
        await answered(pipe.rpush(key, at_once.body))
        assert len(service.spans("send")) == 1
        pipe.multi()
        pipe.rpush(key, queued.body)
        assert len(service.spans("send")) == 1
        await answered(pipe.execute())
        assert await answered(client.lrange(key, 0, -1)) == [at_once.body, queued.body]

    run(scenario)
    assert [span_spot(span) for span in service.spans("send")] == [at_once.spot, queued.spot]


def test_several_values_at_once_are_several_sendings(service, run, key):
    sent = [make(), make("OrderPlaced")]

    async def scenario(client):
        assert await answered(client.rpush(key, *(each.body for each in sent))) == 2
        assert await answered(client.lrange(key, 0, -1)) == [each.body for each in sent]

    run(scenario)
    assert [span_spot(span) for span in service.spans("send")] == [each.spot for each in sent]
    assert [links(span) for span in service.spans("send")] == [[], []]


class TestStreams:
    def test_what_another_left_is_delivered_again(self, service, run, key):
        sent = make()

        async def scenario(client):
            await answered(client.xgroup_create(key, "workers", "0", mkstream=True))
            await answered(client.xadd(key, {"order": sent.body}))
            await answered(client.xreadgroup("workers", "gone", {key: ">"}))
            assert current() == sent.id
            claimed = await answered(client.xautoclaim(key, "workers", "mine", 0))
            assert current() == sent.id
            ((id_, _),) = claimed[1]
            ((_, fields),) = await answered(client.xclaim(key, "workers", "other", 0, [id_]))
            assert fields[b"order"] == sent.body
            assert await answered(client.xack(key, "workers", id_)) == 1
            assert current() is None

        run(scenario)
        assert told(service) == [(sent.id, "ok", None)] * 3
        assert again(service) == [False, True, True]
        assert len(service.envelopes()) == 1
        assert service.shapes() == [["PlaceOrder", *["  process PlaceOrder"] * 3]]

    def test_each_entry_of_a_batch_ends_with_its_acknowledgement(self, service, run, key):
        first, poison, last = make(), make("OrderPlaced"), make("ShipOrder")

        async def scenario(client):
            await answered(client.xgroup_create(key, "workers", "0", mkstream=True))
            for body in (first.body, b"{not JSON", poison.body, last.body):
                await answered(client.xadd(key, {"order": body}))
            got = await answered(client.xreadgroup("workers", "mine", {key: ">"}))
            entries = next(iter(got.values()) if isinstance(got, dict) else iter([got[0][1]]))
            while isinstance(entries[0], list):
                (entries,) = entries
            ids = [id_ for id_, _ in entries]
            await answered(client.xack(key, "workers", ids[0], ids[1]))
            assert service.deliveries() == []
            try:
                int("no number of an order")
            except ValueError:
                await answered(client.xack(key, "workers", ids[2]))
            pipe = client.pipeline()
            pipe.xack(key, "workers", ids[3])
            assert await answered(pipe.execute()) == [1]

        run(scenario)
        assert told(service) == [
            (first.id, "ok", None),
            (poison.id, "error", "ValueError"),
            (last.id, "ok", None),
        ]
        (span,) = service.spans("process")
        assert links(span) == [first.spot, poison.spot, last.spot]

    def test_groups_are_settled_each_for_itself(self, service, run, key):
        sent = make()

        async def scenario(client):
            for group in ("workers", "audit"):
                await answered(client.xgroup_create(key, group, "0", mkstream=True))
            id_ = await answered(client.xadd(key, {"order": sent.body}))
            await answered(client.xreadgroup("workers", "mine", {key: ">"}))
            await answered(client.xack(key, "audit", id_))
            assert current() == sent.id
            await answered(client.xack(key, "workers", id_))
            assert current() is None

        run(scenario)
        assert told(service) == [(sent.id, "ok", None)]

    def test_entries_that_are_metadata_themselves_get_no_more_fields(self, service, run, key):
        sent = make()
        fields = {
            "id": sent.id,
            "type": sent.type,
            "timestamp": str(sent.timestamp),
            "source": "shop",
            "payload": '{"order": 7}',
        }

        async def scenario(client):
            await answered(client.xadd(key, fields))
            ((_, got),) = await answered(client.xrange(key))
            assert got == {name.encode(): value.encode() for name, value in fields.items()}
            await answered(client.xread({key: "0"}))
            envelope = otelope.current()
            assert (envelope.id, envelope.payload) == (sent.id, {"order": 7})

        run(scenario)
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_refused_fields_are_refused_by_the_library(self, service, run, key):
        async def scenario(client):
            for fields in ({}, [("order", make().body)], None):
                with pytest.raises(redis.DataError):
                    client.xadd(key, fields)

        run(scenario)
        assert service.spans() == []


class TestLists:
    def test_message_at_work_is_handled_when_it_is_taken_out(self, service, run, key):
        sent, other = make(), make()

        async def scenario(client):
            await answered(client.rpush(key, sent.body))
            got = await answered(client.blmove(key, f"{key}work", 1, "LEFT", "RIGHT"))
            assert got == sent.body
            await answered(client.lrem(f"{key}work", 1, other.body))
            assert current() == sent.id
            await answered(client.lrem(f"{key}work", 1, sent.body))
            assert current() is None

        run(scenario)
        assert told(service) == [(sent.id, "ok", None)]

    def test_handling_goes_on_while_other_lists_are_asked(self, service, run, key):
        sent, following = make(), None

        async def scenario(client):
            nonlocal following
            await answered(client.rpush(key, sent.body))
            await answered(client.rpush(f"{key}numbers", 1, 2))
            await answered(client.blpop([key], 1))
            assert await answered(client.lpop(f"{key}numbers")) == b"1"
            assert await answered(client.lpop(f"{key}nothing")) is None
            assert current() == sent.id
            following = make("OrderPlaced", sent.id)
            await answered(client.publish(f"{key}channel", following.body))
            assert await answered(client.lpop(key)) is None
            assert current() is None

        run(scenario)
        assert told(service) == [(sent.id, "ok", None)]
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]]

    @pytest.mark.parametrize(
        ("take", "given"),
        [("lmpop", (1,)), ("blmpop", (1, 1)), ("brpop", ()), ("rpoplpush", ())],
    )
    def test_every_way_to_take_out(self, service, run, key, take, given):
        sent = make()

        async def scenario(client):
            await answered(client.lpush(key, sent.body))
            options = {"direction": "LEFT"} if take.endswith("mpop") else {}
            more = {"rpoplpush": (f"{key}work",), "brpop": (1,)}.get(take, ())
            await answered(getattr(client, take)(*given, key, *more, **options))
            assert current() == sent.id

        run(scenario)
        assert told(service) == [(sent.id, "ok", None)]

    def test_foreign_id_is_linked_to_its_cause_across_services(self, service, run, key):
        sent = make(make_id=foreign_id)
        following = make("OrderPlaced", sent.id, foreign_id)

        async def scenario(client):
            await answered(client.rpush(key, sent.body))
            service.forget()
            await answered(client.blpop([key], 1))
            await answered(client.rpush(f"{key}x", following.body))

        run(scenario)
        assert service.orphans() == []
        assert service.shapes() == [
            ["PlaceOrder", "  process PlaceOrder"],
            ["OrderPlaced"],
        ]


class TestPublished:
    def test_patterns_and_handlers(self, service, run, key):
        sent, seen = [make() for _ in range(2)], []

        def handle(message):
            seen.append((message["channel"], current()))

        async def scenario(client):
            subscriber = client.pubsub(ignore_subscribe_messages=True)
            await answered(subscriber.psubscribe(**{f"{key}.*": handle}))
            await answered(subscriber.subscribe(key))
            for _ in range(2):
                await answered(subscriber.get_message(timeout=10))
            await answered(client.publish(f"{key}.a", sent[0].body))
            assert await answered(subscriber.get_message(timeout=10)) is None
            assert seen == [(f"{key}.a".encode(), sent[0].id)]
            assert current() is None
            await answered(client.publish(key, sent[1].body))
            await answered(subscriber.get_message(timeout=10))
            assert current() == sent[1].id
            await answered(
                subscriber.aclose() if hasattr(subscriber, "aclose") else subscriber.close()
            )
            assert current() is None

        run(scenario)
        assert told(service) == [(each.id, "ok", None) for each in sent]
        assert [span.name for span in service.spans("process")] == [
            f"process {key}.a",
            f"process {key}",
        ]


def test_threads_that_share_a_client_do_not_mix(service, redis_server, key):
    client = redis.Redis.from_url(redis_server)
    sent = [make() for _ in range(8)]
    client.rpush(key, *(each.body for each in sent))
    together = threading.Barrier(4)

    def work():
        for _ in range(2):
            _, body = client.blpop([key], 5)
            together.wait(10)
            assert current().encode() in body
            client.rpush(f"{key}x", make("OrderPlaced", current()).body)
        client.blpop([f"{key}none"], 0.01)
        client.lpop(key)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.close()
    assert sorted(told(service)) == sorted((each.id, "ok", None) for each in sent)
    tree = ["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]
    assert service.shapes() == [tree] * len(sent)


def test_client_that_is_thrown_away_does_not_say_how_the_handling_ended(
    service, redis_server, key
):
    sent = make()
    client = redis.Redis.from_url(redis_server)
    client.rpush(key, sent.body)
    client.lpop(key)
    pool = client.connection_pool
    del client
    gc.collect()
    pool.disconnect()
    assert told(service) == [(sent.id, "unknown", None)]
    assert current() is None


@pytest.mark.parametrize("fails", [False, True])
def test_block_of_an_asyncio_client_ends_its_handling(service, redis_server, key, fails):
    sent = make()

    async def scenario():
        # By from_url, asyncio's client before 5.0 leaves its connections open.
        async with redis_asyncio.Redis(**address_of(redis_server)) as client:
            await client.rpush(key, sent.body)
            await client.blpop([key], 1)
            if fails:
                raise ValueError("no such order")

    if fails:
        with pytest.raises(ValueError, match="no such order"):
            asyncio.run(scenario())
    else:
        asyncio.run(scenario())
    outcome = ("error", "ValueError") if fails else ("ok", None)
    assert told(service) == [(sent.id, *outcome)]
