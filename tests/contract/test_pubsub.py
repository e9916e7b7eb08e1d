"""What only Pub/Sub has: ordering keys, attempts, acknowledgements of one, sending in a thread."""

from __future__ import annotations

import threading

from concurrent.futures import ThreadPoolExecutor

import pytest

from google.api_core.exceptions import NotFound
from google.cloud import pubsub_v1
from google.cloud.pubsub_v1.publisher.exceptions import FlowControlLimitError
from google.pubsub_v1 import AcknowledgeRequest, ModifyAckDeadlineRequest, PullRequest
from opentelemetry import trace

import otelope

from otelope.model.identity import new_id
from otelope.testing.messages import make, new_channel
from otelope.testing.spans import links, parent
from tests.contract.drivers import pubsub as driver
from tests.service import attempts, failed, told


pytestmark = pytest.mark.pubsub


@pytest.fixture
def channel(pubsub_server):
    name = new_channel()
    driver.make(pubsub_server, name)
    return name


@pytest.fixture
def at(channel):
    return {"subscription": driver.subscription(channel)}


@pytest.fixture
def publish(pubsub_server, channel):
    """Publishes to the channel, and waits until that is done."""
    publisher = driver.publisher(pubsub_server)

    def publish(*bodies, **options):
        to = driver.topic(channel)
        for sent in [publisher.publish(to, body, **options) for body in bodies]:
            sent.result(10)

    return publish


@pytest.fixture
def client(pubsub_server):
    return driver.subscriber(pubsub_server, "a test's")


@pytest.fixture
def receive(client, at):
    """Calls a function back with messages until it has returned so often."""

    def receive(count, callback):
        handled = threading.Semaphore(0)

        def called(message):
            callback(message)
            handled.release()

        future = client.subscribe(at["subscription"], called, await_callbacks_on_shutdown=True)
        future.add_done_callback(lambda _: handled.release())
        assert all(handled.acquire(timeout=10) for _ in range(count))
        future.cancel()
        future.result(10)

    return receive


class TestPublishing:
    def test_what_the_broker_refuses_later_is_told_as_failed(self, service, pubsub_server):
        sent = make()
        publisher = driver.publisher(pubsub_server)
        future = publisher.publish(driver.topic("is-not-there"), sent.body)
        with pytest.raises(NotFound):
            future.result(10)
        assert failed(service) == [(sent.id, "google.api_core.exceptions.NotFound")]
        (span,) = service.spans("send")
        assert (span.name, span.status.status_code.name) == ("send is-not-there", "UNSET")

    def test_what_the_client_refuses_in_its_answer_is_the_sendings_error(
        self, service, pubsub_server, channel
    ):
        flow = pubsub_v1.types.PublishFlowControl(
            message_limit=1, limit_exceeded_behavior=pubsub_v1.types.LimitExceededBehavior.ERROR
        )
        publisher = driver.publisher(pubsub_server, latency=60, flow_control=flow)
        waits, refused = make(), make()
        first, second = (
            publisher.publish(driver.topic(channel), each.body) for each in (waits, refused)
        )
        with pytest.raises(FlowControlLimitError):
            second.result(0)
        publisher.stop()
        assert first.result(10)
        error = "google.cloud.pubsub_v1.publisher.exceptions.FlowControlLimitError"
        assert failed(service) == [(refused.id, error)]
        assert [span.status.status_code.name for span in service.spans("send")] == [
            "UNSET",
            "ERROR",
        ]

    def test_many_that_one_request_carries_are_as_many_sendings(self, service, publish):
        sent = [make() for _ in range(20)]
        publish(*(each.body for each in sent), ordering_key="7")
        assert [each.envelope.id for each in service.envelopes()] == [each.id for each in sent]
        assert [span.parent for span in service.spans("send")] == [None] * 20

    def test_attributes_stay_bytes_or_text_and_get_ours_beside_them(
        self, service, publish, client, at
    ):
        sent = make()
        publish(sent.body, ordering_key="7", text="t", octets=b"o")
        (received,) = client.pull(**at, max_messages=1).received_messages
        attributes = dict(received.message.attributes)
        assert (attributes.pop("text"), attributes.pop("octets")) == ("t", "o")
        assert attributes.keys() == {"traceparent", "tracestate"}
        assert received.message.ordering_key == "7"
        client.acknowledge(**at, ack_ids=[received.ack_id])

    def test_cloudevents_in_attributes_are_envelopes(self, service, publish, receive):
        id_ = new_id()
        headers = {"id": id_, "type": "OrderPlaced", "source": "shop", "specversion": "1.0"}
        publish(b"\x00\x01", **{f"ce-{name}": value for name, value in headers.items()})
        receive(1, lambda message: message.ack())
        assert told(service) == [(id_, "ok", None)]
        assert service.shapes() == [["OrderPlaced", "  process OrderPlaced"]]


class TestCallbacks:
    def test_messages_of_one_key_are_handled_in_their_order(self, service, publish, receive):
        sent, seen = [make() for _ in range(8)], []
        publish(*(each.body for each in sent), ordering_key="7")

        def note(message):
            seen.append((message.ordering_key, otelope.current().id))
            message.ack()

        receive(8, note)
        assert seen == [("7", each.id) for each in sent]
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]] * 8

    def test_threads_do_not_mix(self, service, publish, receive):
        sent, together, seen = [make() for _ in range(4)], threading.Barrier(4), []
        publish(*(each.body for each in sent))

        def note(message):
            together.wait(10)
            seen.append(otelope.current().id.encode() in message.data)
            publish(make("OrderPlaced", otelope.current().id).body)
            message.ack()

        def first_ones(message):
            if b"PlaceOrder" in message.data:
                note(message)
            else:
                message.ack()

        receive(8, first_ones)
        assert seen == [True] * 4
        tree = [
            "PlaceOrder",
            "  process PlaceOrder",
            "    OrderPlaced",
            "      process OrderPlaced",
        ]
        assert service.shapes() == [tree] * 4

    @pytest.mark.parametrize("how", ["nack", "nack_with_response"])
    def test_what_is_refused_comes_again_and_is_counted(self, service, publish, receive, how):
        sent = make()
        publish(sent.body)

        def refuse_once(message):
            getattr(message, how if message.delivery_attempt == 1 else "ack_with_response")()

        receive(2, refuse_once)
        assert told(service) == [(sent.id, "error", "rejected"), (sent.id, "ok", None)]
        assert attempts(service) == [(1, False), (2, True)]
        assert len(service.envelopes()) == 1

    def test_a_callback_that_fails_gets_its_message_again(self, service, publish, client, at):
        sent, error, handled = make(), ValueError("no such order"), threading.Event()
        publish(sent.body)

        def fail_once(message):
            if message.delivery_attempt == 1:
                raise error
            message.ack()
            handled.set()

        with ThreadPoolExecutor(2) as threads:
            scheduler = pubsub_v1.subscriber.scheduler.ThreadScheduler(threads)
            future = client.subscribe(at["subscription"], callback=fail_once, scheduler=scheduler)
            assert future.exception(10) is error
            # The stream goes on until it is told to stop.
            assert handled.wait(10)
            future.cancel()
        assert told(service) == [(sent.id, "error", "ValueError"), (sent.id, "ok", None)]
        assert attempts(service) == [(1, False), (2, True)]

    def test_where_nobody_counts_there_is_no_attempt(self, service, pubsub_server, client):
        name = new_channel()
        publisher = driver.publisher(pubsub_server)
        publisher.create_topic(name=driver.topic(name))
        at = driver.subscription(name)
        client.create_subscription(name=at, topic=driver.topic(name))
        publisher.publish(driver.topic(name), make().body).result(10)
        (received,) = client.pull(subscription=at, max_messages=1).received_messages
        client.acknowledge(subscription=at, ack_ids=[received.ack_id])
        assert attempts(service) == [(None, None)]


class TestPulling:
    def test_redeliveries_are_counted(self, service, publish, client, at):
        sent = make()
        publish(sent.body)
        for _ in range(2):
            (received,) = client.pull(**at, max_messages=1).received_messages
            assert otelope.current().id == sent.id
            ids = {**at, "ack_ids": [received.ack_id]}
            client.modify_ack_deadline(**ids, ack_deadline_seconds=60)
            assert otelope.current().id == sent.id
            client.modify_ack_deadline(**ids, ack_deadline_seconds=0)
            assert otelope.current() is None
        (received,) = client.pull(**at, max_messages=1).received_messages
        client.acknowledge(**at, ack_ids=[received.ack_id])
        assert told(service) == [
            (sent.id, "error", "rejected"),
            (sent.id, "error", "rejected"),
            (sent.id, "ok", None),
        ]
        assert attempts(service) == [(1, False), (2, True), (3, True)]
        assert service.shapes() == [["PlaceOrder", *["  process PlaceOrder"] * 3]]

    @pytest.mark.parametrize("form", [dict, None], ids=["dict", "message"])
    def test_requests_in_every_form(self, service, publish, client, at, form):
        first, second = make(), make()
        publish(first.body, second.body, ordering_key="7")
        for sent, refused in ((first, False), (second, True)):
            request = (form or PullRequest)(**at, max_messages=1)
            (received,) = client.pull(request).received_messages
            assert otelope.current().id == sent.id
            ids = {**at, "ack_ids": [received.ack_id]}
            if refused:
                request = (form or ModifyAckDeadlineRequest)(**ids, ack_deadline_seconds=0)
                client.modify_ack_deadline(request=request)
            else:
                client.acknowledge((form or AcknowledgeRequest)(**ids))
        assert told(service) == [(first.id, "ok", None), (second.id, "error", "rejected")]
        assert {each.channel for each in service.deliveries()} == {at["subscription"][-14:]}

    def test_each_message_of_a_batch_has_its_outcome(self, service, publish, client, at):
        good, poison = make(), make("OrderPlaced")
        publish(good.body, b"{not JSON", poison.body)
        received = {
            bytes(each.message.data): each.ack_id
            for each in client.pull(**at, max_messages=3).received_messages
        }
        client.acknowledge(**at, ack_ids=[received[good.body], received[b"{not JSON"]])
        assert service.deliveries() == []
        client.modify_ack_deadline(**at, ack_ids=[received[poison.body]], ack_deadline_seconds=0)
        assert sorted(told(service), key=lambda each: each[1]) == [
            (poison.id, "error", "rejected"),
            (good.id, "ok", None),
        ]
        (span,) = service.spans("process")
        assert set(links(span)) == {good.spot, poison.spot}

    def test_threads_that_share_a_client_do_not_mix(self, service, publish, client, at):
        sent = [make() for _ in range(2)]
        publish(*(each.body for each in sent))
        together, seen = threading.Barrier(2), []

        def work():
            (received,) = client.pull(**at, max_messages=1).received_messages
            together.wait(10)
            seen.append(otelope.current().id.encode() in received.message.data)
            together.wait(10)
            client.acknowledge(**at, ack_ids=[received.ack_id])

        threads = [threading.Thread(target=work) for _ in sent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [True, True]
        assert sorted(told(service)) == sorted((each.id, "ok", None) for each in sent)

    def test_closing_ends_the_handling(self, service, publish, pubsub_server, at):
        sent = make()
        publish(sent.body)
        with driver.subscriber(pubsub_server, "one that is closed") as client:
            client.pull(**at, max_messages=1)
            assert otelope.current().id == sent.id
        assert otelope.current() is None
        assert told(service) == [(sent.id, "ok", None)]


NATIVE = "enable_open_telemetry_tracing"


@pytest.mark.skipif(
    NATIVE not in pubsub_v1.types.PublisherOptions._fields,
    reason="not applicable: this version makes no spans of its own",
)
def test_beside_the_clients_own_spans_the_tree_is_the_same(
    service, pubsub_server, channel, at, monkeypatch
):
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", service.provider)
    publisher = driver.publisher(pubsub_server, **{NATIVE: True})
    options = pubsub_v1.types.SubscriberOptions(**{NATIVE: True})
    client = driver.subscriber(pubsub_server, "its own", subscriber_options=options)
    sent, came = make(), threading.Event()

    def handle(message):
        message.ack()
        came.set()

    publisher.publish(driver.topic(channel), sent.body).result(10)
    future = client.subscribe(at["subscription"], handle, await_callbacks_on_shutdown=True)
    assert came.wait(10)
    future.cancel()
    future.result(10)
    assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]
    # Theirs stand below ours, in the same trace.
    (theirs,) = [span for span in service.all_spans() if span.name == f"{channel} create"]
    assert parent(theirs) == sent.spot
