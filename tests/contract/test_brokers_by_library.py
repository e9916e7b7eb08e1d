"""What only one message library has: replies, acknowledgements of one message, redeliveries."""

from __future__ import annotations

import asyncio

from contextlib import asynccontextmanager, suppress

import nats
import pytest

from nats.js.api import ConsumerConfig

import otelope

from otelope.testing.messages import make, new_channel
from otelope.testing.spans import links
from tests.service import attempts, told


@pytest.mark.nats
class TestNats:
    @pytest.fixture
    def subject(self):
        return new_channel()

    @pytest.fixture
    def run(self, nats_server, subject):
        """Runs a scenario with a client and a stream of the test's own."""
        errors = []

        async def note(error):
            errors.append(error)

        @asynccontextmanager
        async def connected():
            client = await nats.connect(nats_server, error_cb=note)
            try:
                await client.jetstream().add_stream(name=subject, subjects=[f"{subject}.kept"])
                yield client
            finally:
                await client.jetstream().delete_stream(subject)
                await client.close()

        async def work(scenario):
            async with connected() as client:
                await asyncio.wait_for(asyncio.ensure_future(scenario(client)), 30)

        def run(scenario):
            asyncio.run(work(scenario))
            return errors

        return run

    def test_a_reply_is_received_by_who_asked(self, service, run, subject):
        asked = make()
        placed, shipped = make("OrderPlaced", asked.id), None

        async def answer(msg):
            await msg.respond(placed.body)

        async def scenario(client):
            nonlocal shipped
            await client.subscribe(subject, cb=answer)
            reply = await client.request(subject, asked.body, timeout=10)
            assert reply.data == placed.body
            # Whoever waits for it is about something else, which goes on.
            assert otelope.current() is None
            shipped = make("ShipOrder", placed.id)
            await client.publish(subject, shipped.body)

        run(scenario)
        assert service.shapes()[0][:5] == [
            "PlaceOrder",
            "  process PlaceOrder",
            "    OrderPlaced",
            "      process OrderPlaced",
            "      ShipOrder",
        ]
        assert [span.name for span in service.spans("process")][:2] == [
            f"process {subject}",
            "process _INBOX",
        ]
        assert [record.envelope.id for record in service.envelopes()] == [
            asked.id,
            placed.id,
            shipped.id,
        ]

    def test_a_request_of_the_old_style_keeps_its_headers(self, service, run, subject):
        asked, seen = make(), []

        async def answer(msg):
            seen.append(msg.headers or {})
            await msg.respond(b"")

        async def scenario(client):
            await client.subscribe(subject, cb=answer)
            await client.request(subject, asked.body, timeout=10, old_style=True)

        run(scenario)
        assert [headers.get("tracestate") for headers in seen] == [
            f"otelope={asked.spot.span_id:016x}"
        ]
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_redeliveries_are_counted(self, service, run, subject):
        sent = make()

        async def scenario(client):
            streams = client.jetstream()
            await streams.publish(f"{subject}.kept", sent.body)
            pulled = await streams.pull_subscribe(f"{subject}.kept", "worker")
            for settle in ("nak", "nak", "ack_sync"):
                (msg,) = await pulled.fetch(1, timeout=10)
                assert otelope.current().id == sent.id
                await getattr(msg, settle)()
                assert otelope.current() is None

        run(scenario)
        assert told(service) == [
            (sent.id, "error", "rejected"),
            (sent.id, "error", "rejected"),
            (sent.id, "ok", None),
        ]
        assert attempts(service) == [(1, False), (2, True), (3, True)]
        assert len(service.envelopes()) == 1
        assert service.shapes() == [["PlaceOrder", *["  process PlaceOrder"] * 3]]

    def test_a_callback_that_fails_gets_its_message_again(self, service, run, subject):
        sent, handled = make(), asyncio.Event()

        async def handle(_):
            if len(service.deliveries()) == 0:
                raise ValueError("no such order")
            handled.set()

        async def scenario(client):
            streams = client.jetstream()
            # In seconds in nats-py since 2.1.
            await streams.subscribe(
                f"{subject}.kept", cb=handle, config=ConsumerConfig(ack_wait=0.2)
            )
            await streams.publish(f"{subject}.kept", sent.body)
            await handled.wait()

        errors = run(scenario)
        assert [str(error) for error in errors] == ["no such order"]
        assert told(service) == [(sent.id, "error", "ValueError"), (sent.id, "ok", None)]
        assert attempts(service) == [(1, False), (2, True)]

    def test_each_message_of_a_batch_has_its_outcome(self, service, run, subject):
        good, poison = make(), make("OrderPlaced")

        async def scenario(client):
            streams = client.jetstream()
            for body in (good.body, b"{not JSON", poison.body):
                await streams.publish(f"{subject}.kept", body)
            pulled = await streams.pull_subscribe(f"{subject}.kept", "worker")
            await client.flush()
            first, plain, last = await pulled.fetch(3, timeout=10)
            assert plain.data == b"{not JSON"
            await first.ack()
            await plain.term()
            assert service.deliveries() == []
            await last.term()

        run(scenario)
        assert told(service) == [(good.id, "ok", None), (poison.id, "error", "rejected")]
        (span,) = service.spans("process")
        assert links(span) == [good.spot, poison.spot]

    def test_tasks_that_share_a_subscription_do_not_mix(self, service, run, subject):
        sent = [make() for _ in range(4)]

        async def scenario(client):
            subscription = await client.subscribe(subject)

            async def work():
                with suppress(asyncio.TimeoutError):
                    while True:
                        msg = await subscription.next_msg(0.3)
                        received = otelope.current().id
                        assert received.encode() in msg.data
                        await asyncio.sleep(0)
                        assert otelope.current().id == received
                        await client.publish(f"{subject}.x", make("OrderPlaced", received).body)

            tasks = [asyncio.ensure_future(work()) for _ in range(2)]
            for each in sent:
                await client.publish(subject, each.body)
            await asyncio.gather(*tasks)

        run(scenario)
        assert sorted(told(service)) == sorted((each.id, "ok", None) for each in sent)
        tree = ["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]
        assert service.shapes() == [tree] * len(sent)

    @pytest.mark.parametrize("end", ["unsubscribe", "drain", "close"])
    def test_what_ends_a_subscription_ends_the_handling(self, service, run, subject, end):
        sent = make()

        async def scenario(client):
            mine = await nats.connect(client.connected_url.geturl())
            subscription = await mine.subscribe(subject)
            await mine.publish(subject, sent.body)
            async for _ in subscription.messages:
                assert otelope.current().id == sent.id
                break
            await getattr(mine if end == "close" else subscription, end)()
            assert otelope.current() is None
            await mine.close()

        run(scenario)
        assert told(service) == [(sent.id, "ok", None)]
