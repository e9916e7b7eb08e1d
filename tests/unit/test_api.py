"""What an application may say itself: ids, envelopes, and where one is handled."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import threading
import time

import pytest

from opentelemetry import trace

import otelope

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.model import contracts
from otelope.model.identity import identify
from otelope.testing.messages import foreign_id, make
from otelope.testing.spans import parent, span_spot
from tests.service import told


HOUR_MS = 3_600_000


def trace_of(id_):
    return identify(id_).trace_id


class TestNewId:
    def test_continues_its_parents_lineage(self):
        parent_id = otelope.new_id()
        own = otelope.new_id(parent_id)
        assert own != parent_id
        assert trace_of(own) == trace_of(parent_id)
        assert trace_of(otelope.new_id()) != trace_of(parent_id)

    def test_takes_the_lineage_of_the_current_trace(self, service):
        with service.provider.get_tracer("app").start_as_current_span("request") as span:
            assert trace_of(otelope.new_id()) == span_spot(span).trace_id
            # A parent that cannot say its trace was handled in this one.
            assert trace_of(otelope.new_id(foreign_id(None))) == span_spot(span).trace_id
            own = otelope.new_id()
            assert trace_of(otelope.new_id(own)) == trace_of(own)

    def test_parent_says_more_than_the_current_trace(self, service):
        parent_id = otelope.new_id()
        with service.provider.get_tracer("app").start_as_current_span("request"):
            assert trace_of(otelope.new_id(parent_id)) == trace_of(parent_id)

    @pytest.mark.parametrize(("age", "same"), [(0.99, True), (1.01, False)])
    def test_child_of_an_old_parent_starts_a_new_lineage(self, service, age, same):
        old = otelope.envelope("OrderPlaced", timestamp=time.time() * 1000 - age * HOUR_MS)
        assert (trace_of(otelope.new_id(old)) == trace_of(old.id)) is same
        with otelope.handling(old):
            assert (trace_of(otelope.new_id(old.id)) == trace_of(old.id)) is same

    def test_age_is_a_setting(self, monkeypatch):
        instrumentor.uninstrument()
        monkeypatch.setenv("OTELOPE_NEW_TRACE_AFTER", "10")
        aged = otelope.envelope("OrderPlaced", timestamp=time.time() * 1000 - 11_000)
        assert trace_of(otelope.new_id(aged)) != trace_of(aged.id)


class TestEnvelope:
    def test_is_filled_in(self, service):
        before = time.time() * 1000 - 1
        envelope = otelope.envelope("PlaceOrder", {"order": 7})
        assert before <= envelope.timestamp <= time.time() * 1000
        assert identify(envelope.id).minted
        assert (envelope.type, envelope.payload, envelope.parent_id) == (
            "PlaceOrder",
            {"order": 7},
            None,
        )

    def test_parent_is_what_is_being_handled(self, service):
        cause = otelope.envelope("PlaceOrder")
        with otelope.handling(cause):
            following = otelope.envelope("OrderPlaced")
        assert following.parent_id == cause.id
        assert trace_of(following.id) == trace_of(cause.id)

    def test_what_is_given_is_kept(self):
        envelope = otelope.envelope(
            "PlaceOrder", parent="p", id="i", timestamp=5.0, channel="c", kind="event"
        )
        assert (envelope.id, envelope.parent_id, envelope.timestamp) == ("i", "p", 5.0)
        assert (envelope.channel, envelope.kind) == ("c", "event")

    def test_is_made_whatever_fails_in_otelope(self, service, monkeypatch):
        monkeypatch.setattr(guard, "strict", False)
        monkeypatch.setattr(instrumentor, "active", lambda: 1 / 0)
        old = otelope.Envelope(otelope.new_id(), "PlaceOrder", 5.0)
        made = otelope.envelope("OrderPlaced", {"order": 7}, parent=old)
        assert (made.parent_id, made.payload, made.source.name) == (old.id, {"order": 7}, "")


class TestContract:
    @pytest.fixture(autouse=True)
    def _no_contracts(self, monkeypatch):
        monkeypatch.setattr(contracts, "_declared", {})
        instrumentor.uninstrument()

    def left(self, **more):
        made = otelope.envelope("OrderPlaced", {"orderId": 7, "email": "e"}, **more)
        return made.to_dict()["payload"]

    def test_holds_for_its_type_without_instrumentation_too(self):
        otelope.contract("OrderPlaced", {"type": "object", "properties": {"orderId": {}}})
        assert self.left() == {"orderId": 7}
        assert otelope.envelope("OrderPaid", {"email": "e"}).to_dict()["payload"] == {"email": "e"}

    @pytest.mark.parametrize(
        ("outside", "left"), [(("email",), {"email": "e"}), ((), {}), (set(), {})], ids=repr
    )
    def test_an_envelopes_own_goes_before_it(self, outside, left):
        otelope.contract("OrderPlaced", ["orderId"])
        assert self.left(outside=outside) == left

    def test_without_one_everything_leaves(self):
        assert self.left() == {"orderId": 7, "email": "e"}

    def test_what_is_none_is_refused_where_it_is_written(self):
        with pytest.raises(TypeError, match="str is no contract"):
            otelope.contract("OrderPlaced", "orderId")
        assert self.left() == {"orderId": 7, "email": "e"}


class TestHandling:
    @pytest.mark.parametrize("form", [bytes, bytes.decode], ids=["bytes", "text"])
    def test_is_told_and_current(self, service, form):
        sent = make()
        with otelope.handling(form(sent.body)) as envelope:
            assert envelope == otelope.current()
            assert (envelope.id, envelope.payload) == (sent.id, {"order": 7})
        assert otelope.current() is None
        (span,) = service.spans("process")
        assert parent(span) == sent.spot
        (delivery,) = service.deliveries()
        assert (delivery.envelope.id, delivery.outcome) == (sent.id, "ok")
        assert (delivery.trace_id, delivery.span_id) == span_spot(span)

    @pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()], ids=repr)
    def test_failure_of_the_block_is_the_handlings(self, service, error):
        with pytest.raises(type(error)) as caught, otelope.handling(make().body):
            raise error
        assert caught.value is error
        (delivery,) = service.deliveries()
        assert (delivery.outcome, delivery.error_type) == ("error", type(error).__name__)

    def test_within_a_handling_of_the_same_is_told_once(self, service):
        sent = make()
        with otelope.handling(sent.body), otelope.handling(sent.body) as inner:
            assert inner is not None
            assert inner.id == sent.id
        assert len(service.deliveries()) == len(service.spans("process")) == 1

    def test_within_a_handling_of_another_is_a_stack(self, service):
        outer, inner = make(), make()
        with otelope.handling(outer.body):
            with otelope.handling(inner.body):
                assert otelope.current().id == inner.id
            assert otelope.current().id == outer.id
        assert [d.envelope.id for d in service.deliveries()] == [inner.id, outer.id]

    @pytest.mark.parametrize(
        "item", [b"no envelope", None, object(), 7], ids=["bytes", "none", "object", "number"]
    )
    def test_what_is_no_envelope_just_runs(self, service, item):
        ran = False
        with otelope.handling(item) as envelope:
            ran = True
            assert envelope is None
        assert ran
        assert service.records == []

    def test_without_instrumentation_just_runs(self):
        instrumentor.uninstrument()
        with otelope.handling(make().body) as envelope:
            assert envelope is None
            assert otelope.current() is None


def in_thread(work):
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()


def enter(handling, seen, error=None):
    with contextlib.suppress(ValueError), handling as envelope:
        seen.append(envelope and envelope.id)
        if error:
            raise error


class TestHandlingElsewhere:
    """What is announced in one place and handled in another is told once."""

    def test_ends_with_the_block_that_enters_it(self, service):
        sent, seen = make(), []
        with otelope.handling(sent.body):
            claimed = otelope.handling(sent.body)
        assert (told(service), otelope.current()) == ([], None)
        in_thread(lambda: enter(claimed, seen, ValueError("no such order")))
        assert seen == [sent.id]
        assert told(service) == [(sent.id, "error", "ValueError")]
        (span,) = service.spans("process")
        assert (parent(span), span.status.status_code.name) == (sent.spot, "ERROR")

    def test_may_begin_while_the_first_place_goes_on(self, service):
        sent, seen = make(), []
        with otelope.handling(sent.body):
            claimed = otelope.handling(sent.body)
            in_thread(lambda: enter(claimed, seen))
            assert told(service) == [(sent.id, "ok", None)]
        assert seen == [sent.id]
        assert len(service.deliveries()) == len(service.spans("process")) == 1
        assert trace.get_current_span() is trace.INVALID_SPAN

    def test_a_task_is_another_place(self, service):
        sent, seen = make(), []

        async def work(claimed, going_on):
            with claimed as envelope:
                seen.append(envelope.id)
                await going_on.wait()
                seen.append(otelope.current().id)

        async def receive():
            going_on = asyncio.Event()
            with otelope.handling(sent.body):
                task = asyncio.create_task(work(otelope.handling(sent.body), going_on))
                await asyncio.sleep(0)
            assert told(service) == []
            going_on.set()
            await task

        asyncio.run(receive())
        assert seen == [sent.id] * 2
        assert told(service) == [(sent.id, "ok", None)]

    def test_what_failed_where_it_was_received_is_told_again(self, service):
        sent, seen = make(), []
        with contextlib.suppress(ValueError), otelope.handling(sent.body):
            claimed = otelope.handling(sent.body)
            raise ValueError("no such order")
        in_thread(lambda: enter(claimed, seen))
        assert seen == [sent.id]
        assert told(service) == [(sent.id, "error", "ValueError"), (sent.id, "ok", None)]

    def test_what_nobody_enters_is_told_as_received(self, service):
        sent = make()
        otelope.handling(sent.body)
        gc.collect()
        assert told(service) == [(sent.id, "unknown", None)]

    def test_what_nobody_enters_was_handled_where_it_was_received(self, service):
        sent = make()
        with otelope.handling(sent.body):
            otelope.handling(sent.body)
        assert told(service) == [(sent.id, "ok", None)]

    @pytest.mark.parametrize("within", [True, False])
    def test_pickled_it_is_told_by_who_gets_it(self, service, within):
        sent, seen = make(), []
        with otelope.handling(sent.body) if within else contextlib.nullcontext():
            claimed = otelope.handling(sent.body)
            pickled = pickle.dumps(claimed)
        del claimed
        gc.collect()
        assert told(service) == []
        enter(pickle.loads(pickled), seen)  # noqa: S301 - our own
        assert seen == [sent.id]
        assert told(service) == [(sent.id, "ok", None)]
        (span,) = service.spans("process")
        assert parent(span) == sent.spot

    @pytest.mark.parametrize("instrumented", [True, False])
    def test_pickled_what_is_no_envelope_just_runs(self, request, instrumented):
        if instrumented:
            request.getfixturevalue("service")
        pickled = pickle.dumps(otelope.handling(b"no envelope"))
        with pickle.loads(pickled) as envelope:  # noqa: S301 - our own
            assert envelope is None
