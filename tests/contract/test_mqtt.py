"""What only MQTT's clients have: retained messages, failing publishes, clients upon clients."""

from __future__ import annotations

import asyncio

from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import aiomqtt
import pytest

from paho.mqtt import publish, subscribe
from paho.mqtt.client import MQTT_ERR_NO_CONN, MQTT_ERR_QUEUE_SIZE, Client, MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import otelope

from otelope import instrumentor
from otelope.adapters.table import TABLE
from otelope.testing.messages import make, new_channel
from otelope.testing.spans import span_spot
from tests.contract.drivers.paho import made, until, user_properties
from tests.service import told


pytestmark = pytest.mark.mqtt
BOTH = pytest.mark.parametrize("five", [True, False], ids=["5", "3.1.1"])


@pytest.fixture
def topic():
    return new_channel()


@pytest.fixture
def connected(mqtt_server):
    """Makes clients of paho's, and takes them away again."""
    at = urlsplit(mqtt_server)

    @contextmanager
    def connected(*topics, five=True, on_message=None):
        client = made(Client, five=five)
        client.on_message = on_message
        client.connect(at.hostname, at.port)
        until(client, client.is_connected)
        subscribed = []
        client.on_subscribe = lambda *_: subscribed.append(True)
        for each in topics:
            client.subscribe(each, qos=1)
        until(client, lambda: len(subscribed) == len(topics))
        try:
            yield client
        finally:
            client.disconnect()
            until(client, lambda: not client.is_connected())

    return connected


def published(client, topic, body, **options):
    info = client.publish(topic, body, qos=1, **options)
    until(client, info.is_published)


class TestPaho:
    @BOTH
    def test_what_is_retained_is_handled_by_each_who_comes_later(
        self, service, connected, topic, five
    ):
        sent, handled = make(), []

        def note(_client, _userdata, message):
            handled.append((message.retain, message.dup, otelope.current().id))

        with connected(five=five) as client:
            published(client, topic, sent.body, retain=True)
            for count in (1, 2):
                with connected(topic, five=five, on_message=note) as late:
                    until(late, lambda: len(handled) == count)  # noqa: B023 - asked in the loop
            published(client, topic, b"", retain=True)
        assert handled == [(1, 0, sent.id)] * 2
        assert told(service) == [(sent.id, "ok", None)] * 2
        assert [each.redelivered for each in service.deliveries()] == [False, False]
        assert service.shapes() == [["PlaceOrder", *["  process PlaceOrder"] * 2]]

    def test_several_callbacks_handle_a_message_once(self, service, connected, topic):
        sent, seen = make(), []

        def note(*_):
            seen.append(otelope.current().id)

        with connected(f"{topic}/1") as client:
            client.message_callback_add(f"{topic}/+", note)
            client.message_callback_add(f"{topic}/#", note)
            published(client, f"{topic}/1", sent.body)
            until(client, lambda: seen)
        assert seen == [sent.id] * 2
        assert told(service) == [(sent.id, "ok", None)]

    @BOTH
    def test_what_no_callback_hears_is_not_handled(self, service, connected, topic, five):
        unheard, heard, seen = make(), make("OrderPlaced"), []
        with connected(f"{topic}/#", five=five) as client:
            client.message_callback_add(f"{topic}/heard", lambda *_: seen.append(True))
            published(client, f"{topic}/unheard", unheard.body)
            published(client, f"{topic}/heard", heard.body)
            until(client, lambda: seen)
        assert told(service) == [(heard.id, "ok", None)]

    @BOTH
    def test_functions_that_connect_by_themselves_are_seen(
        self, service, mqtt_server, topic, five
    ):
        at, seen = urlsplit(mqtt_server), []
        broker = {
            "hostname": at.hostname,
            "port": at.port,
            "protocol": MQTTv5 if five else MQTTv311,
        }
        sent = [make() for _ in range(2)]
        topics = [f"{topic}/{number}" for number in range(2)]

        def handle(client, _userdata, message):
            seen.append((message.topic, otelope.current().id))
            if len(seen) == len(sent):
                client.disconnect()

        messages = [(to, each.body, 1, True) for to, each in zip(topics, sent, strict=True)]
        publish.multiple(messages, **broker)
        subscribe.callback(handle, topics, 1, clean_session=None if five else True, **broker)
        publish.multiple([(to, b"", 1, True) for to in topics], **broker)
        expected = [(to, each.id) for to, each in zip(topics, sent, strict=True)]
        assert sorted(seen) == expected
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]] * 2

    def test_callback_is_read_as_it_was_set(self, service, connected):
        def callback(*_):
            pass

        with connected(on_message=callback) as client:
            assert client.on_message is callback

    @BOTH
    def test_exception_that_the_client_keeps_to_itself_is_the_handlings(
        self, service, connected, topic, five
    ):
        poison, good, seen = make(), make("OrderPlaced"), []

        def handle(_client, _userdata, message):
            seen.append(message)
            if len(seen) == 1:
                raise ValueError("no such order")

        with connected(topic, five=five, on_message=handle) as client:
            client.suppress_exceptions = True
            published(client, topic, poison.body)
            published(client, topic, good.body)
            until(client, lambda: len(seen) == 2)
        assert told(service) == [(poison.id, "error", "ValueError"), (good.id, "ok", None)]

    def test_what_a_client_logs_elsewhere_is_no_failure(self, service, connected, topic):
        sent, seen = make(), []

        def handle(*_):
            seen.append(True)
            other.on_publish = lambda *_: 1 / 0
            other.suppress_exceptions = True
            published(other, f"{topic}/x", b"plain")

        with connected() as other, connected(topic, on_message=handle) as client:
            published(client, topic, sent.body)
            until(client, lambda: seen)
        assert told(service) == [(sent.id, "ok", None)]

    @BOTH
    def test_what_finds_no_connection_is_lost_without_a_quality_of_service(
        self, service, topic, five
    ):
        lost, kept = make(), make("OrderPlaced")
        client = made(Client, five=five)
        assert client.publish(topic, lost.body).rc == MQTT_ERR_NO_CONN
        client.publish(topic, kept.body, qos=1)
        failed = [(each.envelope.id, each.outcome, each.error_type) for each in service.done()]
        assert failed == [(lost.id, "error", "MQTT_ERR_NO_CONN")]
        assert [span_spot(span) for span in service.spans("send")] == [lost.spot, kept.spot]

    def test_what_finds_no_room_is_lost(self, service, topic):
        waiting, lost = make(), make("OrderPlaced")
        client = made(Client, five=True)
        client.max_queued_messages_set(1)
        client.publish(topic, waiting.body, qos=1)
        assert client.publish(topic, lost.body, qos=1).rc == MQTT_ERR_QUEUE_SIZE
        failed = [(each.envelope.id, each.outcome, each.error_type) for each in service.done()]
        assert failed == [(lost.id, "error", "MQTT_ERR_QUEUE_SIZE")]

    def test_user_properties_of_the_same_name_stay_in_their_order(self, service, connected, topic):
        sent, seen = make(), []
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/json"
        for pair in (("a", "1"), ("traceparent", "theirs"), ("a", "2")):
            properties.UserProperty = pair
        before = list(properties.UserProperty)
        with connected(topic, on_message=lambda *args: seen.append(args[-1])) as client:
            published(client, topic, sent.body, properties=properties)
            until(client, lambda: seen)
        assert properties.UserProperty == before
        got = seen[0].properties
        assert got.ContentType == "application/json"
        assert got.UserProperty[:2] == [("a", "1"), ("a", "2")]
        assert [name for name, _ in got.UserProperty[2:]] == ["traceparent", "tracestate"]

    def test_headers_of_a_connection_of_3_1_1_are_none(self, service, connected, topic):
        sent = make()
        with connected(five=False) as client:
            published(client, topic, sent.body, properties=user_properties({"a": "1"}))
        (span,) = service.spans("send")
        assert span_spot(span) == sent.spot

    @BOTH
    def test_cloudevent_with_its_attributes_in_user_properties_is_an_envelope(
        self, service, connected, topic, five
    ):
        seen = []
        attributes = {"specversion": "1.0", "id": "7", "type": "OrderPlaced", "source": "/shop"}
        properties = user_properties(attributes)
        with connected(
            topic, five=five, on_message=lambda *_: seen.append(otelope.current())
        ) as client:
            published(client, topic, b"{}", properties=properties)
            until(client, lambda: seen)
        # 3.1.1 takes properties, and drops them.
        assert [each and each.id for each in seen] == ["7" if five else None]
        assert len(service.spans("send")) == five

    def test_topic_that_an_alias_stands_for_is_not_known(self, service, connected, topic):
        first, second, seen = make(), make("OrderPlaced"), []
        properties = Properties(PacketTypes.PUBLISH)
        properties.TopicAlias = 1

        with (
            connected(topic, on_message=lambda *_: seen.append(otelope.current().id)) as receiver,
            connected() as client,
        ):
            published(client, topic, first.body, properties=properties)
            published(client, "", second.body, properties=properties)
            until(receiver, lambda: len(seen) == 2)
        assert seen == [first.id, second.id]
        assert [span.name for span in service.spans("send")] == [
            f"send {topic}",
            "send OrderPlaced",
        ]

    @BOTH
    def test_message_is_handled_elsewhere(self, service, connected, topic, five):
        sent, kept = make(), []
        with connected(topic, five=five, on_message=lambda *args: kept.append(args[-1])) as client:
            published(client, topic, sent.body)
            until(client, lambda: kept)
        with otelope.handling(kept[0]):
            assert otelope.current().id == sent.id
        assert otelope.current() is None


class TestAiomqtt:
    @pytest.fixture
    def opened(self, mqtt_server):
        at = urlsplit(mqtt_server)

        @asynccontextmanager
        async def opened(*, five=True, **options):
            versions = aiomqtt.ProtocolVersion
            options["protocol"] = versions.V5 if five else versions.V311
            async with aiomqtt.Client(at.hostname, at.port, **options) as client:
                yield client

        return opened

    def run(self, scenario):
        asyncio.run(asyncio.wait_for(scenario, 20))

    @BOTH
    def test_client_upon_a_client_sends_and_hands_over_once(self, service, opened, topic, five):
        sent, following = make(), []

        async def scenario():
            async with opened(five=five) as client:
                await client.subscribe(topic, 1)
                await client.publish(topic, sent.body, 1)
                async for _ in client.messages:
                    assert otelope.current().id == sent.id
                    following.append(make("OrderPlaced", sent.id))
                    await client.publish(f"{topic}/x", following[0].body, 2)
                    break
            assert otelope.current() is None

        self.run(scenario())
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]]
        assert told(service) == [(sent.id, "ok", None)]
        assert [each.envelope.id for each in service.envelopes()] == [sent.id, following[0].id]

    def test_what_is_retained_is_handled_by_who_comes_later(self, service, opened, topic):
        sent = make()

        async def scenario():
            async with opened() as client:
                await client.publish(topic, sent.body, 1, retain=True)
                await client.subscribe(topic, 1)
                async for message in client.messages:
                    assert message.retain
                    break
                await client.publish(topic, b"", 1, retain=True)

        self.run(scenario())
        assert told(service) == [(sent.id, "ok", None)]
        assert [each.redelivered for each in service.deliveries()] == [None]

    def test_exception_that_leaves_the_client_is_the_handlings(self, service, opened, topic):
        sent, error = make(), ValueError("no such order")

        async def scenario():
            async with opened() as client:
                await client.subscribe(topic, 1)
                await client.publish(topic, sent.body, 1)
                async for _ in client.messages:
                    raise error

        with pytest.raises(ValueError, match="no such order") as caught:
            self.run(scenario())
        assert caught.value is error
        assert told(service) == [(sent.id, "error", "ValueError")]

    @pytest.mark.skipif(
        not hasattr(aiomqtt.Client, "messages"),
        reason="not applicable: before 2.3 tasks share a generator, which one may ask",
    )
    def test_tasks_that_share_a_client_do_not_mix(self, service, opened, topic):
        sent = [make() for _ in range(4)]

        async def work(client):
            async for message in client.messages:
                received = otelope.current().id
                assert received.encode() in message.payload
                await client.publish(f"{topic}/x", make("OrderPlaced", received).body, 1)
                assert otelope.current().id == received
                handled.append(received)
                if len(handled) == len(sent):
                    done.set()

        handled, done = [], asyncio.Event()

        async def scenario():
            async with opened() as client:
                await client.subscribe(topic, 1)
                workers = [asyncio.ensure_future(work(client)) for _ in range(2)]
                for each in sent:
                    await client.publish(topic, each.body, 1)
                await done.wait()
                for worker in workers:
                    worker.cancel()
                await asyncio.wait(workers)

        self.run(scenario())
        assert sorted(handled) == sorted(each.id for each in sent)
        tree = ["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]
        assert service.shapes() == [tree] * len(sent)

    def test_without_its_own_row_it_is_not_handled_by_pahos(
        self, service, opened, topic, monkeypatch
    ):
        instrumentor.uninstrument()
        others = [row for row in TABLE if row.entry_point != "otelope_aiomqtt"]
        monkeypatch.setattr(instrumentor, "TABLE", others)
        service.instrument()
        sent = make()

        async def scenario():
            async with opened() as client:
                await client.subscribe(topic, 1)
                await client.publish(topic, sent.body, 1)
                async for message in client.messages:
                    assert otelope.current() is None
                    assert message.payload == sent.body
                    break

        self.run(scenario())
        assert [span_spot(span) for span in service.spans("send")] == [sent.spot]
        assert (service.spans("process"), service.deliveries()) == ([], [])
