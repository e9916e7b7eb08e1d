"""Contracts on the way through a real client: what is on the broker, what is exported."""

from __future__ import annotations

import json
import time

import confluent_kafka
import pytest

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

import otelope

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.export.record import Encoder
from otelope.model import contracts, semconv
from otelope.testing.messages import new_channel
from otelope.testing.spans import Service


ORDER = {"orderId": 42, "total": 90, "email": "ada@example.org"}


class Broker:
    """One topic of a Kafka, sent to under instrumentation and read without it."""

    def __init__(self, address):
        self._settings = {"bootstrap.servers": address, "log_level": 2}
        self._producer = None
        self.channel = new_channel()

    def send(self, body):
        if self._producer is None:
            self._producer = confluent_kafka.Producer(self._settings)
        self._producer.produce(self.channel, body, partition=0)
        assert self._producer.flush(10) == 0

    def payloads(self, count):
        """The payloads of so many messages, which is all there are."""
        instrumentor.uninstrument()
        consumer = confluent_kafka.Consumer(
            {**self._settings, "group.id": "outside", "fetch.wait.max.ms": 10}
        )
        try:
            partition = confluent_kafka.TopicPartition(self.channel, 0, 0)
            assert consumer.get_watermark_offsets(partition, timeout=10) == (0, count)
            consumer.assign([partition])
            return [json.loads(self._next(consumer))["payload"] for _ in range(count)]
        finally:
            consumer.close()

    def _next(self, consumer):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                return message.value()
        raise TimeoutError("no message came")


@pytest.fixture
def broker(kafka_mock):
    return Broker(kafka_mock)


@pytest.fixture
def service(monkeypatch, request):
    monkeypatch.setattr(contracts, "_declared", {})
    monkeypatch.setattr(guard, "strict", True)
    for name, value in getattr(request, "param", {}).items():
        monkeypatch.setenv(name, value)
    instrumentor.uninstrument()
    service = Service()
    service.instrument()
    yield service
    instrumentor.uninstrument()


strict = pytest.mark.parametrize("service", [{"OTELOPE_CONTRACTS": "strict"}], indirect=True)


def exported(record):
    """The body and the contract's attributes as a collector gets them."""
    log = LogRecord.FromString(Encoder(lambda _: ("event", True))(record))
    attributes = {each.key: each.value.string_value for each in log.attributes}
    left = attributes.get(semconv.CONTRACT_LEFT)
    return (
        json.loads(log.body.string_value) if log.body.string_value else None,
        json.loads(attributes.get(semconv.CONTRACT_DECLARED, "null")),
        json.loads(left) if left is not None else None,
    )


def test_the_broker_gets_the_outside_and_the_record_the_inside(service, broker):
    otelope.contract("OrderPlaced", {"orderId", "total"})
    event = otelope.envelope("OrderPlaced", ORDER)

    broker.send(event.to_json())

    (record,) = service.envelopes()
    assert exported(record) == (
        event.to_dict(inside=True), ["orderId", "total"], ["orderId", "total"],
    )  # fmt: skip
    assert (record.envelope.id, record.envelope.parent_id) == (event.id, None)
    assert broker.payloads(1) == [{"orderId": 42, "total": 90}]


def test_one_envelope_may_have_an_outside_of_its_own(service, broker):
    otelope.contract("OrderPlaced", {"orderId", "total"})
    events = [otelope.envelope("OrderPlaced", ORDER, outside=names) for names in (["email"], ())]

    for event in events:
        broker.send(event.to_json())

    assert [exported(record) for record in service.envelopes()] == [
        (events[0].to_dict(inside=True), ["email"], ["email"]),
        (events[1].to_dict(inside=True), [], []),
    ]
    assert broker.payloads(2) == [{"email": "ada@example.org"}, {}]


def test_a_leak_is_reported_by_name_and_not_stopped(service, broker):
    otelope.contract("OrderPlaced", ["orderId"])
    event = otelope.envelope("OrderPlaced", ORDER)

    broker.send(event.to_json(inside=True))

    (record,) = service.envelopes()
    assert exported(record)[1:] == (["orderId"], ["email", "orderId", "total"])
    assert broker.payloads(1) == [ORDER]


def test_a_leak_in_a_later_sending_is_reported_too(service, broker):
    otelope.contract("OrderPlaced", ["orderId"])
    event = otelope.envelope("OrderPlaced", ORDER)

    broker.send(event.to_json())
    broker.send(event.to_json(inside=True))

    (first,) = service.envelopes()
    (later,) = service.done()
    assert exported(first)[2] == ["orderId"]
    assert exported(later) == (None, ["orderId"], ["email", "orderId", "total"])


@pytest.mark.parametrize("form", ["to_json", "to_dict", "envelope"])
def test_what_is_stored_before_it_is_sent_is_recorded_whole(service, broker, form):
    otelope.contract("OrderPlaced", ["orderId"])
    event = otelope.envelope("OrderPlaced", ORDER)

    # Whatever form of it the application has at hand: this process knows all of it.
    with otelope.stored(event if form == "envelope" else getattr(event, form)(), to="orders-db"):
        pass
    broker.send(event.to_json())

    (record,) = service.envelopes()
    (sent,) = [each for each in service.done() if each.operation == "send"]
    assert record.recorded_by == "maker"
    assert exported(record) == (event.to_dict(inside=True), None, None)
    assert exported(sent)[1:] == (["orderId"], ["orderId"])
    assert broker.payloads(1) == [{"orderId": 42}]


@strict
def test_strict_raises_out_of_the_clients_call_before_anything_is_sent(
    service, broker, monkeypatch
):
    monkeypatch.setattr(guard, "strict", False)
    swallowed = guard.total
    otelope.contract("OrderPlaced", ["orderId"])
    event = otelope.envelope("OrderPlaced", ORDER)
    leaking = event.to_json(inside=True)

    with pytest.raises(otelope.ContractError) as refused:
        broker.send(leaking)
    assert refused.value.leaked == ["email", "total"]
    assert "ada" not in str(refused.value)
    assert (service.records, service.spans()) == ([], [])

    broker.send(event.to_json())
    with pytest.raises(otelope.ContractError):
        broker.send(leaking)
    assert len(service.envelopes()) == 1
    assert broker.payloads(1) == [{"orderId": 42}]
    assert guard.total == swallowed


def test_without_a_contract_all_is_as_ever(service, broker):
    event = otelope.envelope("OrderPlaced", ORDER)

    broker.send(event.to_json())

    (record,) = service.envelopes()
    assert exported(record) == (event.to_dict(), None, None)
    assert record.envelope.text == event.to_json()
    assert broker.payloads(1) == [ORDER]


def test_a_process_that_never_saw_the_inside_records_the_wires(service, broker):
    otelope.contract("OrderPlaced", ["orderId"])
    row = otelope.envelope("OrderPlaced", ORDER).to_json()
    instrumentor.uninstrument()
    service.instrument()  # as the relay's process, which reads the row an hour later

    broker.send(row)

    (record,) = service.envelopes()
    assert exported(record) == (json.loads(row), ["orderId"], ["orderId"])
