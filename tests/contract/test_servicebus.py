"""What only Service Bus has: forms of messages, locks, settlements, sessions and schedules."""

from __future__ import annotations

import asyncio
import datetime as dt
import pickle
import threading
import time

import pytest

from azure.core.settings import settings
from azure.core.tracing.ext.opentelemetry_span import OpenTelemetrySpan
from azure.servicebus import AutoLockRenewer, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient as AsyncClient
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageSizeExceededError,
    ServiceBusQuotaExceededError,
)
from opentelemetry import trace

import otelope

from otelope.testing.messages import make, new_channel
from otelope.testing.spans import links, parent, span_spot
from tests.contract.drivers.servicebus import PATIENCE, connected, got, hasty
from tests.service import attempts, current, failed, told


pytestmark = pytest.mark.servicebus
FORMS = {
    "message": ServiceBusMessage,
    "message of text": lambda body, **more: ServiceBusMessage(body.decode(), **more),
    "mapping": lambda body, **more: {"body": body, **more},
    "data of AMQP": lambda body, **more: AmqpAnnotatedMessage(
        data_body=[body[:9], body[9:]], **more
    ),
    "value of AMQP": lambda body, **more: AmqpAnnotatedMessage(value_body=body, **more),
}


@pytest.fixture(autouse=True)
def _hasty():
    with hasty():
        yield


@pytest.fixture
def queue():
    return new_channel()


@pytest.fixture
def client(servicebus_server):
    with connected(servicebus_server) as client:
        yield client


@pytest.fixture
def sender(client, queue):
    return client.get_queue_sender(queue)


@pytest.fixture
def send(sender):
    """Sends these bodies, in one call."""

    def send(*bodies):
        sender.send_messages([ServiceBusMessage(body) for body in bodies])

    return send


@pytest.fixture
def receiver(client, queue):
    return client.get_queue_receiver(queue, max_wait_time=PATIENCE)


class TestSending:
    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    @pytest.mark.parametrize("how", [lambda m: m, lambda m: [m], lambda m: iter([m])])
    def test_every_form_is_an_envelope_and_stays_as_it_is(
        self, service, sender, receiver, form, how
    ):
        sent, own = make(), {"x-app": "1"}
        message = form(sent.body, application_properties=own)
        sender.send_messages(how(message))
        assert own == {"x-app": "1"}
        (arrived,) = receiver.receive_messages()
        headers = {
            name.decode(): value.decode() for name, value in arrived.application_properties.items()
        }
        assert headers["x-app"] == "1"
        assert headers["tracestate"] == f"otelope={sent.spot.span_id:016x}"
        receiver.complete_message(arrived)
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    def test_a_batch_takes_every_form(self, service, sender, receiver, form):
        sent = make()
        batch = sender.create_message_batch()
        batch.add_message(form(sent.body))
        assert service.spans() == []
        sender.send_messages(batch)
        (arrived,) = receiver.receive_messages()
        receiver.complete_message(arrived)
        assert arrived.application_properties[b"traceparent"].split(b"-")[1:3] == [
            b"%032x" % sent.spot.trace_id,
            b"%016x" % sent.spot.span_id,
        ]
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_a_list_is_as_many_sendings_as_it_has_envelopes(self, service, sender, receiver):
        first, second = make(), make("OrderPlaced")
        messages = [ServiceBusMessage(body) for body in (first.body, b"{not JSON", second.body)]
        sender.send_messages(messages)
        assert [each.application_properties for each in messages] == [None] * 3
        arrived = receiver.receive_messages(3)
        assert [got(each).body for each in arrived] == [first.body, b"{not JSON", second.body]
        assert arrived[1].application_properties is None
        assert service.shapes() == [["PlaceOrder"], ["OrderPlaced"]]

    def test_what_a_batch_has_no_room_for_is_not_sent_with_it(self, service, sender):
        fits, does_not = make(), make(note="x" * 900)
        batch = sender.create_message_batch(max_size_in_bytes=1000)
        batch.add_message(ServiceBusMessage(fits.body))
        with pytest.raises(MessageSizeExceededError):
            batch.add_message(ServiceBusMessage(does_not.body))
        sender.send_messages(batch)
        assert [record.envelope.id for record in service.envelopes()] == [fits.id]

    def test_a_batch_that_is_never_sent_was_never_sent(self, service, sender):
        sender.create_message_batch().add_message(ServiceBusMessage(make().body))
        assert (service.spans(), service.records) == ([], [])

    def test_what_the_broker_refuses_is_told_as_failed(self, service, client, queue):
        first, second = make(), make()
        messages = [ServiceBusMessage(each.body) for each in (first, second)]
        sender = client.get_queue_sender(f"{queue}-full")
        with pytest.raises(ServiceBusQuotaExceededError):
            sender.send_messages(messages)
        kind = "azure.servicebus.exceptions.ServiceBusQuotaExceededError"
        assert failed(service) == [(first.id, kind), (second.id, kind)]

    @pytest.mark.parametrize("given", [7, None, [7], [ServiceBusMessage("x"), "text"]])
    def test_what_is_no_message_is_the_librarys_to_refuse(self, service, sender, given):
        with pytest.raises(TypeError, match="Only AmqpAnnotatedMessage, ServiceBusMessage"):
            sender.send_messages(given)
        assert service.spans() == []

    def test_what_a_generator_raises_is_the_hosts(self, service, sender):
        error = ValueError("no such order")

        def generated():
            yield ServiceBusMessage(make().body)
            raise error

        with pytest.raises(ValueError, match="no such order") as caught:
            sender.send_messages(generated())
        assert caught.value is error
        assert service.spans() == []

    @pytest.mark.parametrize("given", [[], ()])
    def test_nothing_is_sent_of_nothing(self, service, sender, given):
        sender.send_messages(given)
        assert service.records == []

    @pytest.mark.parametrize("how", [lambda m: m, lambda m: [m]], ids=["one", "list"])
    def test_what_is_scheduled_is_sent_now_and_handled_when_its_time_has_come(
        self, service, sender, receiver, how
    ):
        sent = make()
        when = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=0.2)
        (number,) = sender.schedule_messages(how(ServiceBusMessage(sent.body)), when)
        (arrived,) = receiver.receive_messages()
        assert dt.datetime.now(dt.timezone.utc) >= when
        assert arrived.sequence_number == number
        receiver.complete_message(arrived)
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_a_message_that_was_received_can_be_sent_on(self, service, client, send, receiver):
        sent = make()
        send(sent.body)
        (arrived,) = receiver.receive_messages()
        before = dict(arrived.application_properties)
        with client.get_queue_sender(new_channel()) as onward:
            onward.send_messages(arrived)
        assert arrived.application_properties == before
        receiver.complete_message(arrived)
        assert told(service) == [(sent.id, "ok", None)]
        ((handling,), (_, second)) = service.spans("process"), service.spans("send")
        assert parent(second) == span_spot(handling)


class TestReceiving:
    def test_redeliveries_are_counted(self, service, send, receiver):
        sent = make()
        send(sent.body)
        for settle in ("abandon_message", "abandon_message", "complete_message"):
            (message,) = receiver.receive_messages()
            assert current() == sent.id
            getattr(receiver, settle)(message)
            assert current() is None
        assert told(service) == [
            (sent.id, "error", "rejected"),
            (sent.id, "error", "rejected"),
            (sent.id, "ok", None),
        ]
        assert attempts(service) == [(1, False), (2, True), (3, True)]
        assert service.shapes() == [["PlaceOrder", *["  process PlaceOrder"] * 3]]

    def test_each_message_of_a_batch_has_its_outcome(self, service, send, receiver):
        good, poison = make(), make("OrderPlaced")
        send(good.body, b"{not JSON", poison.body)
        first, plain, last = receiver.receive_messages(3)
        assert got(plain).body == b"{not JSON"
        receiver.complete_message(first)
        receiver.dead_letter_message(plain, reason="no JSON")
        assert service.deliveries() == []
        receiver.dead_letter_message(last, reason="poison", error_description="no such order")
        assert told(service) == [(good.id, "ok", None), (poison.id, "error", "rejected")]
        (span,) = service.spans("process")
        assert links(span) == [good.spot, poison.spot]

    def test_a_dead_letter_is_received_from_there(self, service, send, client, queue, receiver):
        sent = make()
        send(sent.body)
        receiver.dead_letter_message(receiver.receive_messages()[0])
        with client.get_queue_receiver(queue, sub_queue="deadletter") as dead:
            dead.complete_message(dead.receive_messages()[0])
        assert [(each.channel, each.outcome) for each in service.deliveries()] == [
            (queue, "error"),
            (f"{queue}/$DeadLetterQueue", "ok"),
        ]

    def test_a_deferred_message_is_handled_when_it_is_asked_for(self, service, send, receiver):
        sent = make()
        send(sent.body)
        (message,) = receiver.receive_messages()
        number = message.sequence_number
        receiver.defer_message(message)
        assert current() is None
        (message,) = receiver.receive_deferred_messages(number)
        assert current() == sent.id
        receiver.complete_message(message)
        assert told(service) == [(sent.id, "error", "rejected"), (sent.id, "ok", None)]

    def test_what_is_peeked_is_not_handled(self, service, send, receiver):
        send(make().body)
        (message,) = receiver.peek_messages()
        assert current() is None
        assert got(message).headers["tracestate"]
        assert service.deliveries() == []

    def test_settled_twice_is_the_librarys_to_refuse(self, service, send, receiver):
        sent = make()
        send(sent.body)
        (message,) = receiver.receive_messages()
        receiver.complete_message(message)
        with pytest.raises(MessageAlreadySettled):
            receiver.complete_message(message)
        assert told(service) == [(sent.id, "ok", None)]

    def test_what_is_deleted_when_received_lasts_until_the_next_word(
        self, service, send, client, queue
    ):
        sent = [make(), make("OrderPlaced")]
        send(*(each.body for each in sent))
        mode = ServiceBusReceiveMode.RECEIVE_AND_DELETE
        with client.get_queue_receiver(queue, receive_mode=mode) as receiver:
            for each in sent:
                receiver.receive_messages()
                assert current() == each.id
        assert current() is None
        assert told(service) == [(each.id, "ok", None) for each in sent]

    def test_an_error_in_the_loop_is_the_handlings(self, service, send, client, queue):
        sent = make()
        send(sent.body)

        def work():
            with client.get_queue_receiver(queue, max_wait_time=PATIENCE) as receiver:
                for message in receiver:
                    assert got(message).body == sent.body
                    raise ValueError("no such order")

        with pytest.raises(ValueError, match="no such order"):
            work()
        assert told(service) == [(sent.id, "error", "ValueError")]

    def test_next_is_a_step_too(self, service, send, receiver):
        sent = [make(), make("OrderPlaced")]
        send(*(each.body for each in sent))
        for each in sent:
            message = next(receiver)
            assert current() == each.id
            receiver.complete_message(message)
        assert told(service) == [(each.id, "ok", None) for each in sent]

    def test_threads_with_receivers_of_their_own_do_not_mix(self, service, send, client, queue):
        sent = [make() for _ in range(2)]
        send(*(each.body for each in sent))
        together, seen = threading.Barrier(2), []

        def work():
            with client.get_queue_receiver(queue) as receiver:
                (message,) = receiver.receive_messages()
                together.wait(10)
                seen.append(current().encode() in got(message).body)
                together.wait(10)
                receiver.complete_message(message)

        threads = [threading.Thread(target=work) for _ in sent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [True, True]
        assert sorted(told(service)) == sorted((each.id, "ok", None) for each in sent)

    def test_a_lock_that_runs_out_gives_the_message_back(self, service, client, queue):
        sent, name = make(), f"{queue}-brief"
        with client.get_queue_sender(name) as sender, client.get_queue_receiver(name) as receiver:
            sender.send_messages(ServiceBusMessage(sent.body))
            receiver.receive_messages()
            (message,) = receiver.receive_messages(max_wait_time=PATIENCE)
            receiver.complete_message(message)
        assert told(service) == [(sent.id, "ok", None), (sent.id, "ok", None)]
        assert attempts(service) == [(1, False), (2, True)]

    def test_a_renewer_of_locks_keeps_the_handling(self, service, client, queue):
        sent, name = make(), f"{queue}-brief"
        renewed = threading.Event()

        class Message(AutoLockRenewer):
            """Says when it has renewed."""

            def _auto_lock_renew_task(self, receiver, renewable, *args, **kwargs):
                super()._auto_lock_renew_task(receiver, renewable, *args, **kwargs)
                if renewable.locked_until_utc > first:
                    renewed.set()

        with (
            Message() as renewer,
            client.get_queue_sender(name) as sender,
            client.get_queue_receiver(name) as receiver,
        ):
            sender.send_messages(ServiceBusMessage(sent.body))
            (message,) = receiver.receive_messages()
            first = message.locked_until_utc
            renewer.register(receiver, message)
            assert renewed.wait(10)
            assert current() == sent.id
            receiver.complete_message(message)
        assert told(service) == [(sent.id, "ok", None)]

    def test_the_messages_of_a_session_are_handled_in_it(self, service, client, queue):
        sent = {"a": make(), "b": make("OrderPlaced")}
        with client.get_queue_sender(queue) as sender:
            for session, each in sent.items():
                sender.send_messages(ServiceBusMessage(each.body, session_id=session))
        for session in ("b", "a"):
            with client.get_queue_receiver(queue, session_id=session) as receiver:
                (message,) = receiver.receive_messages()
                assert (message.session_id, current()) == (session, sent[session].id)
                receiver.session.renew_lock()
                receiver.complete_message(message)
        assert told(service) == [(sent[each].id, "ok", None) for each in ("b", "a")]

    def test_each_subscription_of_a_topic_handles_what_was_sent_once(self, service, client, queue):
        sent = make()
        receivers = [client.get_subscription_receiver(queue, name) for name in ("mail", "bill")]
        for each in receivers:
            each.__enter__()
        with client.get_topic_sender(queue) as sender:
            sender.send_messages(ServiceBusMessage(sent.body))
        for each in receivers:
            each.complete_message(each.receive_messages()[0])
        assert [(each.channel, each.outcome) for each in service.deliveries()] == [
            (queue, "ok"),
            (queue, "ok"),
        ]
        assert service.shapes() == [["PlaceOrder", *["  process PlaceOrder"] * 2]]

    def test_a_pickled_message_is_handled_elsewhere(self, service, send, receiver):
        sent = make()
        send(sent.body)
        (message,) = receiver.receive_messages()
        receiver.complete_message(message)
        service.forget()
        with otelope.handling(pickle.loads(pickle.dumps(message))) as envelope:  # noqa: S301 - ours
            assert envelope.id == sent.id
        assert [each.channel for each in service.deliveries()][1:] == [None]

    def test_metadata_may_stand_in_properties_beside_the_message_id(
        self, service, sender, receiver
    ):
        said = {"type": "OrderPlaced", "source": "shop", "timestamp": "2026-11-29T01:00:00Z"}
        sender.send_messages(
            ServiceBusMessage(b"\x00", message_id="order-7", application_properties=said)
        )
        receiver.receive_messages()
        assert (otelope.current().id, otelope.current().type) == ("order-7", "OrderPlaced")

    def test_a_subject_alone_makes_no_envelope(self, service, sender, receiver):
        sender.send_messages(ServiceBusMessage('{"order": 7}', subject="OrderPlaced"))
        receiver.receive_messages()
        assert (current(), service.records) == (None, [])


class TestAsyncio:
    @pytest.fixture
    def run(self, servicebus_server):
        """Runs a scenario with a client."""

        async def work(scenario):
            async with connected(servicebus_server, AsyncClient) as client:
                await scenario(client)

        return lambda scenario: asyncio.run(asyncio.wait_for(work(scenario), 30))

    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    def test_a_list_of_every_form(self, service, run, queue, form):
        sent = make()

        async def scenario(client):
            async with client.get_queue_sender(queue) as sender:
                await sender.send_messages([form(sent.body)])
            async with client.get_queue_receiver(queue) as receiver:
                (message,) = await receiver.receive_messages()
                assert got(message).headers["tracestate"] == f"otelope={sent.spot.span_id:016x}"
                assert current() == sent.id
                await receiver.complete_message(message)

        run(scenario)
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_every_settlement(self, service, run, queue):
        sent = make()

        async def scenario(client):
            async with (
                client.get_queue_sender(queue) as sender,
                client.get_queue_receiver(queue, max_wait_time=PATIENCE) as receiver,
            ):
                when = dt.datetime.now(dt.timezone.utc)
                await sender.schedule_messages(ServiceBusMessage(sent.body), when)
                async for message in receiver:
                    await receiver.abandon_message(message)
                    break
                (message,) = await receiver.receive_messages()
                await receiver.defer_message(message)
                (message,) = await receiver.receive_deferred_messages(message.sequence_number)
                await receiver.dead_letter_message(message)
                dead = client.get_queue_receiver(queue, sub_queue="deadletter")
                (message,) = await dead.receive_messages()
                assert current() == sent.id
                await dead.complete_message(message)
                assert current() is None

        run(scenario)
        assert told(service) == [(sent.id, "error", "rejected")] * 3 + [(sent.id, "ok", None)]
        assert attempts(service)[:2] == [(1, False), (2, True)]

    def test_tasks_with_receivers_of_their_own_do_not_mix(self, service, run, queue):
        sent = [make() for _ in range(4)]

        async def work(client):
            async with client.get_queue_receiver(queue) as receiver:
                for _ in range(2):
                    (message,) = await receiver.receive_messages()
                    received = current()
                    assert received.encode() in got(message).body
                    await asyncio.sleep(0)
                    assert current() == received
                    async with client.get_queue_sender(f"{queue}x") as sender:
                        await sender.send_messages(
                            ServiceBusMessage(make("OrderPlaced", received).body)
                        )
                    await receiver.complete_message(message)

        async def scenario(client):
            async with client.get_queue_sender(queue) as sender:
                await sender.send_messages([ServiceBusMessage(each.body) for each in sent])
            await asyncio.gather(work(client), work(client))

        run(scenario)
        assert sorted(told(service)) == sorted((each.id, "ok", None) for each in sent)
        tree = ["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]
        assert service.shapes() == [tree] * len(sent)


class TestBesideItsOwnTracing:
    @pytest.fixture(autouse=True)
    def _traced(self, service, monkeypatch):
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", service.provider)
        settings.tracing_implementation = OpenTelemetrySpan
        yield
        settings.tracing_implementation.unset_value()

    @pytest.mark.parametrize("how", [lambda m: m, lambda m: [m]], ids=["one", "list"])
    def test_its_span_is_the_sendings_and_ours_the_envelopes(self, service, sender, receiver, how):
        sent = make()
        sender.send_messages(how(ServiceBusMessage(sent.body)))
        (message,) = receiver.receive_messages()
        headers = got(message).headers
        assert headers["traceparent"].split("-")[2] == f"{sent.spot.span_id:016x}"
        following = make("OrderPlaced", sent.id)
        sender.send_messages(how(ServiceBusMessage(following.body)))
        receiver.complete_message(message)
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]]
        assert [span.name for span in service.spans()] == [
            f"create {sender.entity_name}",
            f"process {sender.entity_name}",
            f"create {sender.entity_name}",
        ]
        theirs = [span for span in service.all_spans() if span.name == "ServiceBus.send"]
        assert [parent(span) for span in theirs] == [sent.spot, following.spot]

    def test_in_a_loop_too(self, service, sender, receiver):
        sent, following = make(), None
        sender.send_messages(ServiceBusMessage(sent.body))
        for message in receiver:
            following = make("OrderPlaced", sent.id)
            sender.send_messages(ServiceBusMessage(following.body))
            receiver.complete_message(message)
            break
        assert current() is None
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder", "    OrderPlaced"]]


def test_the_stand_in_counts_as_service_bus_does(send, receiver):
    """Ten deliveries that come to nothing make a dead letter."""
    send(b"body")
    for count in range(10):
        (message,) = receiver.receive_messages()
        assert message.delivery_count == count
        receiver.abandon_message(message)
    started = time.monotonic()
    assert receiver.receive_messages(max_wait_time=0.1) == []
    assert time.monotonic() - started < PATIENCE
