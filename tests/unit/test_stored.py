"""Envelopes that the application writes to a store."""

from __future__ import annotations

import asyncio
import contextlib
import json

from uuid import uuid4

import pytest

import otelope

from otelope import instrumentor
from otelope.core.adapter import Adapter
from otelope.core.carriers import PAIRS
from otelope.core.message import Message
from otelope.model.envelope import Envelope, Source
from otelope.model.identity import identify
from otelope.testing.messages import foreign_id
from otelope.testing.spans import links, parent, span_spot


KAFKA = Adapter(system="kafka", carrier=PAIRS, sites=())


class RolledBackError(Exception):
    pass


def elsewhere(type_):
    """An envelope that another service made."""
    return Envelope(otelope.new_id(), type_, 1_800_000_000_000, Source("web-shop", "1"))


def send(envelope):
    instrumenter = instrumentor.active().parts.instrumenter
    with instrumenter.send(Message("orders", envelope.to_json()), KAFKA):
        pass


def told(service):
    return [
        (each.operation, each.envelope.type, each.channel, each.outcome, each.error_type)
        for each in service.done()
    ]


def recorded(service):
    return [(each.recorded_by, each.envelope.type) for each in service.envelopes()]


class TestCommitted:
    def test_an_event_that_is_stored_first_and_sent_then_is_told_once(self, service):
        with otelope.handling(elsewhere("PlaceOrder").to_json()) as command:
            event = otelope.envelope("OrderPlaced", {"orderId": "1"})
            with otelope.stored(event, to="orders-db"):
                assert recorded(service) == [("receiver", "PlaceOrder")]
            send(event)
        assert recorded(service) == [("receiver", "PlaceOrder"), ("maker", "OrderPlaced")]
        assert service.envelopes()[1].envelope[:8] == event[:8]
        assert service.envelopes()[1].parent_type == "PlaceOrder"
        assert told(service) == [
            ("store", "OrderPlaced", "orders-db", "ok", None),
            ("send", "OrderPlaced", "orders", "ok", None),
            ("process", "PlaceOrder", None, "ok", None),
        ]
        handled, stored, sent = sorted(service.all_spans(), key=lambda span: span.start_time)
        own = identify(event.id)
        assert (stored.name, span_spot(stored)) == ("store orders-db", own[:2])
        assert stored.kind.name == "INTERNAL"
        assert stored.attributes["otelope.store.name"] == "orders-db"
        assert stored.attributes["otelope.envelope.parent_id"] == command.id
        assert parent(stored) == parent(sent) == span_spot(handled)
        assert service.envelopes()[1].cause_span_id == span_spot(handled).span_id

    def test_what_was_received_is_not_told_again(self, service):
        with (
            otelope.handling(elsewhere("PlaceOrder").to_json()) as command,
            otelope.stored(command, to="orders-db"),
        ):
            pass
        assert recorded(service) == [("receiver", "PlaceOrder")]
        stored, handled = service.all_spans()
        assert parent(stored) == span_spot(handled)
        assert span_spot(stored).span_id != identify(command.id).span_id

    @pytest.mark.parametrize(
        "as_what", [lambda e: e, lambda e: e.to_json(), lambda e: e.to_dict()]
    )
    def test_an_envelope_may_be_given_in_any_shape(self, service, as_what):
        event = elsewhere("OrderPlaced")
        with otelope.stored(as_what(event), to="orders-db"):
            pass
        assert [each.envelope.id for each in service.envelopes()] == [event.id]
        assert told(service) == [("store", "OrderPlaced", "orders-db", "ok", None)]

    @pytest.mark.parametrize("mode", ["tree", "links", "join"])
    @pytest.mark.parametrize("id_", [otelope.new_id, foreign_id])
    def test_no_span_has_a_parent_that_nobody_made(self, service, monkeypatch, mode, id_):
        monkeypatch.setenv("OTELOPE_TRACES", mode)
        for outbox in (False, True):
            with otelope.handling(otelope.envelope("PlaceOrder", id=id_(None))):
                event = otelope.envelope("OrderPlaced", id=id_(None))
                with otelope.stored(event, to="orders-db", outbox=outbox):
                    pass
                send(event)
        assert service.orphans() == []

    def test_an_envelope_from_elsewhere_is_stored_in_its_own_trace(self, service):
        event = elsewhere("OrderPlaced")
        with otelope.stored(event, to="archive"):
            pass
        (span,) = service.all_spans()
        assert (span_spot(span).trace_id, parent(span)) == (identify(event.id).trace_id, None)
        assert span_spot(span).span_id != identify(event.id).span_id

    def test_under_a_span_of_another_trace_it_links_to_the_envelope(self, service):
        event = elsewhere("OrderPlaced")
        tracer = service.provider.get_tracer("app")
        with tracer.start_as_current_span("import"), otelope.stored(event, to="archive"):
            pass
        stored, around = service.all_spans()
        assert parent(stored) == span_spot(around)
        assert links(stored) == [identify(event.id)[:2]]


class TestOutbox:
    def test_the_relay_makes_the_envelopes_own_span(self, service):
        with otelope.handling(otelope.envelope("PlaceOrder")):
            event = otelope.envelope("OrderPlaced", {"orderId": "1"})
            with otelope.stored(event, to="orders-outbox", outbox=True):
                pass
        service.forget()  # as the relay is another process
        send(event)
        assert recorded(service)[1:] == [("maker", "OrderPlaced"), ("sender", "OrderPlaced")]
        maker, sender = service.envelopes()[1:]
        assert (maker.trace_id, maker.span_id) == (sender.trace_id, sender.span_id)
        assert told(service)[0] == ("outbox", "OrderPlaced", "orders-outbox", "ok", None)
        (sent,) = service.spans("send")
        assert span_spot(sent) == identify(event.id)[:2]
        assert service.orphans() == []


class TestRolledBack:
    def test_what_is_rolled_back_did_not_happen(self, service):
        event = otelope.envelope("OrderPlaced")
        failure = RolledBackError()
        with pytest.raises(RolledBackError) as raised, otelope.stored(event, to="orders-db"):
            raise failure
        assert raised.value is failure
        assert recorded(service) == []
        assert [each[:4] for each in told(service)] == [
            ("store", "OrderPlaced", "orders-db", "error")
        ]
        assert told(service)[0][4].endswith("RolledBackError")
        (span,) = service.all_spans()
        assert span.status.status_code.name == "ERROR"
        send(event)  # the application says otherwise
        assert recorded(service) == [("sender", "OrderPlaced")]

    def test_what_is_sent_before_is_told_by_its_sender(self, service):
        event = otelope.envelope("OrderPlaced")
        with (
            contextlib.suppress(RolledBackError),
            otelope.stored(event, to="orders-db"),
        ):
            send(event)
            raise RolledBackError
        assert recorded(service) == [("sender", "OrderPlaced")]
        send(event)
        assert recorded(service) == [("sender", "OrderPlaced")]
        assert [each[:4] for each in told(service)] == [
            ("store", "OrderPlaced", "orders-db", "error"),
            ("send", "OrderPlaced", "orders", "ok"),
        ]
        assert service.orphans() == []


class TestRecord:
    def test_who_only_read_it_does_not_outdo_its_sender(self, service):
        with otelope.stored(elsewhere("OrderPlaced"), to="archive"):
            pass
        assert recorded(service) == [("receiver", "OrderPlaced")]

    def test_is_of_the_payload_as_it_was(self, service):
        payload = {"orderId": 1}
        event = otelope.envelope("OrderPlaced", payload)
        with otelope.stored(event, to="orders-db"):
            payload["orderId"] = 2
        assert json.loads(service.envelopes()[0].envelope.text)["payload"] == {"orderId": 1}

    def test_is_one_however_the_id_was_spelled(self, service):
        event = otelope.envelope("OrderPlaced", id=uuid4().hex.upper())
        with otelope.stored(event, to="orders-db"):
            pass
        send(event)
        assert recorded(service) == [("maker", "OrderPlaced")]


class TestDecorator:
    def test_a_generator_function_is_refused(self):
        def save():
            yield

        with pytest.raises(TypeError, match="generator"):
            otelope.stored(to="orders-db")(save)

    def test_takes_the_envelopes_among_the_arguments(self, service):
        @otelope.stored(to="orders-db")
        def save(order, events, *, command):
            return order, len(events), command.type

        events = [elsewhere("OrderPlaced"), elsewhere("StockReserved")]
        assert save("order", events, command=elsewhere("PlaceOrder")) == ("order", 2, "PlaceOrder")
        assert [each.envelope.type for each in service.done()] == [
            "OrderPlaced",
            "StockReserved",
            "PlaceOrder",
        ]

    def test_a_coroutine_function_stays_one(self, service):
        @otelope.stored(to="orders-db")
        async def save(event):
            await asyncio.sleep(0)
            assert service.done() == []
            return event.id

        event = elsewhere("OrderPlaced")
        assert asyncio.run(save(event)) == event.id
        assert told(service) == [("store", "OrderPlaced", "orders-db", "ok", None)]


class TestNothingToTell:
    @pytest.mark.parametrize("what", [b"{}", "text", {"a": 1}, 7, None])
    def test_what_is_no_envelope_leaves_no_trace(self, service, what):
        with otelope.stored(what, to="orders-db"):
            pass
        assert (service.all_spans(), service.records) == ((), [])

    def test_without_instrumentation_the_block_just_runs(self):
        instrumentor.uninstrument()
        with otelope.stored(elsewhere("OrderPlaced"), to="orders-db"):
            ran = True
        assert ran

    def test_without_a_tracer_provider_records_are_complete(self):
        instrumentor.uninstrument()
        records = []
        instrumentor.instrument(recorder=records.append)
        try:
            event = elsewhere("OrderPlaced")
            with otelope.stored(event, to="orders-db"):
                pass
        finally:
            instrumentor.uninstrument()
        told, stored = records
        assert (told.trace_id, told.span_id) == identify(event.id)[:2]
        assert stored.trace_id == told.trace_id
        assert stored.span_id not in (0, told.span_id)


class TestHandledWhereItWasMade:
    def test_the_command_gets_a_span_of_its_own(self, service):
        with otelope.handling(elsewhere("OrderPlaced").to_json()):
            command = otelope.envelope("ShipOrder", {"orderId": "1"})
            with otelope.handling(command):
                send(otelope.envelope("OrderShipped"))
        assert service.shapes() == [
            ["process OrderPlaced", "  ShipOrder", "    process ShipOrder", "      OrderShipped"]
        ]
        # Its parent is in the service that sent the event.
        assert service.orphans() == ["process OrderPlaced"]
        assert recorded(service) == [
            ("receiver", "OrderPlaced"),
            ("maker", "ShipOrder"),
            ("sender", "OrderShipped"),
        ]
        assert json.loads(service.envelopes()[1].envelope.to_json())["payload"] == {"orderId": "1"}
