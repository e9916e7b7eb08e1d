"""What only Celery does: tasks that are envelopes themselves, workflows, retries, eager calls."""

from __future__ import annotations

import json
import pickle
import threading

from contextlib import contextmanager, suppress
from datetime import datetime, timezone

import pytest

from celery import chain, chord, group, signals
from celery.exceptions import Ignore, Reject
from kombu import Queue
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelope

from otelope import instrumentor
from otelope.testing.messages import foreign_id, make, new_channel
from otelope.testing.scenario import Scenarios
from otelope.testing.spans import is_ours, links, parent, span_spot
from tests.contract.drivers.celery import made, stop, work


SERVERS = [
    pytest.param("rabbitmq_server", marks=pytest.mark.rabbitmq),
    pytest.param("redis_server", marks=pytest.mark.redis),
]


class TestCelery(Scenarios):
    @pytest.fixture(params=SERVERS)
    def app(self, request):
        with application(request.getfixturevalue(request.param)) as app:
            yield app

    def test_task_is_an_envelope_by_itself(self, service, app):
        task = tasks(app, bill=lambda *_, **__: None)["bill"]
        result = task.apply_async([7], {"note": "é"})
        service.forget()
        worked(app, 1)
        assert service.shapes() == [["shop.bill", "  process shop.bill"]]
        (record,) = service.envelopes()
        envelope = record.envelope
        assert (envelope.id, envelope.type, envelope.parent_id) == (result.id, "shop.bill", None)
        assert (envelope.kind, record.recorded_by) == ("command", "sender")
        assert envelope.source.name
        assert "@" not in envelope.source.name
        assert json.loads(envelope.payload) == {"args": [7], "kwargs": {"note": "é"}}
        (delivery,) = service.deliveries()
        assert (delivery.envelope.id, delivery.outcome) == (result.id, "ok")
        assert (delivery.attempt, delivery.redelivered) == (1, False)

    @pytest.mark.parametrize("enveloped", [True, False], ids=["an envelope", "a task"])
    def test_task_that_is_handed_to_a_thread_is_handled_there(self, service, app, enveloped):
        sent, seen, threads, go = make(), [], [], threading.Event()

        def work(handling):
            go.wait(20)
            with suppress(ValueError), handling as envelope:
                seen.append(envelope.id)
                raise ValueError("no such order")

        def handle(task, _):
            threads.append(threading.Thread(target=work, args=[otelope.handling(task.request)]))
            threads[0].start()

        task = tasks(app, bind=True, handle=handle)["handle"]
        result = task.delay(sent.body.decode() if enveloped else 7)
        worked(app, 1)
        assert service.deliveries() == []
        go.set()
        threads[0].join()
        id_ = sent.id if enveloped else result.id
        assert seen == [id_]
        told = [(d.envelope.id, d.outcome, d.error_type, d.attempt) for d in service.deliveries()]
        assert told == [(id_, "error", "ValueError", 1)]
        name = sent.type if enveloped else "shop.handle"
        assert service.shapes() == [[name, f"  process {name}"]]

    @pytest.mark.parametrize("pickled", [False, True])
    def test_task_that_is_handled_in_two_places_says_so(self, service, app, pickled):
        handlings = []

        def handle(task):
            handlings.extend(otelope.handling(task.request) for _ in range(2))
            if pickled:
                handlings[:] = [pickle.loads(pickle.dumps(each)) for each in handlings]  # noqa: S301 - our own

        result = tasks(app, bind=True, handle=handle)["handle"].delay()
        worked(app, 1)
        for each in handlings:
            with each as envelope:
                assert envelope.id == result.id
        assert [d.envelope.id for d in service.deliveries()] == [result.id] * 2
        first, second = service.spans("process")
        assert dict(first.attributes) == dict(second.attributes)
        assert service.orphans() == []

    def test_request_of_a_task_that_is_not_running_is_no_envelope(self, service, app):
        task = tasks(app, bind=True, handle=lambda _: None)["handle"]
        with otelope.handling(task.request) as envelope:
            assert envelope is None
        assert (service.spans(), service.records) == ([], [])

    def test_what_is_current_is_the_task_with_its_arguments(self, service, app):
        seen = []
        task = tasks(app, bill=lambda *_: seen.append(otelope.current()))["bill"]
        result = task.delay(7)
        worked(app, 1)
        assert [(each.id, each.payload) for each in seen] == [
            (result.id, {"args": [7], "kwargs": {}})
        ]
        assert not trace.get_current_span().get_span_context().is_valid

    def test_workflow_of_tasks_is_one_tree(self, service, app):
        known = tasks(app, first=lambda: 1, second=lambda n: n + 1, third=lambda n: n + 1)
        chain(known["first"].s(), known["second"].s(), known["third"].s()).apply_async()
        worked(app, 3)
        assert service.shapes() == [
            [
                "shop.first",
                "  process shop.first",
                "    shop.second",
                "      process shop.second",
                "        shop.third",
                "          process shop.third",
            ]
        ]
        assert len({span_spot(span).trace_id for span in service.spans()}) == 1
        first, second, third = (record.envelope for record in service.envelopes())
        assert (first.parent_id, second.parent_id, third.parent_id) == (None, first.id, second.id)
        assert [d.outcome for d in service.deliveries()] == ["ok"] * 3

    def test_group_and_chord_hang_below_what_sent_them(self, service, app):
        app.conf.update(result_backend="cache+memory://", task_ignore_result=False)

        def begin():
            chord(group(known["part"].s(1), known["part"].s(2)), known["whole"].s()).delay()

        known = tasks(app, begin=begin, part=lambda n: n, whole=lambda parts: sum(parts) * 10)
        known["begin"].delay()
        worked(app, 4)
        (tree,) = service.shapes()
        # The last part sends the whole.
        assert tree == [
            "shop.begin",
            "  process shop.begin",
            "    shop.part",
            "      process shop.part",
            "    shop.part",
            "      process shop.part",
            "        shop.whole",
            "          process shop.whole",
        ]
        assert service.orphans() == []
        assert len(service.envelopes()) == 4

    def test_task_whose_argument_is_an_envelope_is_that_envelope(self, service, app):
        sent, seen = make(make_id=foreign_id), []
        task = tasks(app, handle=lambda body: seen.append((body, otelope.current())))["handle"]
        wire = json.loads(sent.body)
        task.apply_async(kwargs={"body": wire})
        assert wire == json.loads(sent.body)
        worked(app, 1)
        ((body, current),) = seen
        assert body == wire
        assert (current.id, current.payload) == (sent.id, wire["payload"])
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_parent_of_tasks_is_the_envelope_that_is_handled(self, service, app):
        def handle(_):
            known["bill"].delay(7)
            chain(known["bill"].si(8), known["bill"].si(9)).delay()

        known = tasks(app, handle=handle, bill=lambda *_: None)
        sent = make(make_id=foreign_id)
        known["handle"].delay(sent.body.decode())
        service.forget()
        worked(app, 4)
        assert service.shapes() == [
            [
                "PlaceOrder",
                "  process PlaceOrder",
                "    shop.bill",
                "      process shop.bill",
                "    shop.bill",
                "      process shop.bill",
                "        shop.bill",
                "          process shop.bill",
            ]
        ]
        (handling,) = service.spans("process", "PlaceOrder")
        bills = [r for r in service.envelopes() if r.envelope.type == "shop.bill"]
        assert [record.envelope.parent_id for record in bills[:2]] == [sent.id] * 2
        assert bills[2].envelope.parent_id == bills[1].envelope.id
        assert [r.parent_type for r in bills] == ["PlaceOrder", "PlaceOrder", "shop.bill"]
        assert {r.cause_span_id for r in bills[:2]} == {span_spot(handling).span_id}
        assert service.orphans() == []

    @pytest.mark.parametrize("body", [None, make().body.decode()], ids=["task", "envelope"])
    def test_retry_is_a_second_delivery_with_its_attempt(self, service, app, body):
        def handle(task, _):
            if not task.request.retries:
                raise task.retry(exc=ValueError("not now"), countdown=0)

        task = tasks(app, bind=True, handle=handle)["handle"]
        result = task.delay(body)
        worked(app, 2)
        (record,) = service.envelopes()
        assert record.envelope.id == (json.loads(body)["id"] if body else result.id)
        told = [(d.outcome, d.error_type, d.attempt) for d in service.deliveries()]
        assert told == [("error", "ValueError", 1), ("ok", None, 2)]
        name = record.envelope.type
        # An otelope id says where its envelope is; of another one, its headers do.
        indent = "" if body else "    "
        again = [f"    {name}", f"{indent}  process {name}"]
        assert service.shapes() == [[name, f"  process {name}", *again]]

    def test_what_is_rejected_and_requeued_is_redelivered(self, service, app):
        def handle(task):
            if not task.request.delivery_info["redelivered"]:
                raise Reject("not by me", requeue=True)

        task = tasks(app, bind=True, acks_late=True, handle=handle)["handle"]
        task.delay()
        worked(app, 2)
        assert len(service.envelopes()) == 1
        told = [(d.outcome, d.redelivered, d.attempt) for d in service.deliveries()]
        assert told == [("error", False, 1), ("ok", True, 1)]
        assert service.deliveries()[0].error_type == "celery.exceptions.Reject"

    def test_ignored_task_did_not_fail(self, service, app):
        def handle():
            raise Ignore

        tasks(app, handle=handle)["handle"].delay()
        worked(app, 1)
        assert [delivery.outcome for delivery in service.deliveries()] == ["ok"]

    def test_what_no_task_can_be_made_of_is_not_in_the_way(self, service, app):
        queue = app.conf.task_default_queue
        known = tasks(app, bill=lambda *_: None)
        result = app.send_task("shop.nobodys")
        with app.connection_for_write() as connection, suppress_instrumentation():
            for body, kind in (b"\xff{", "application/json"), (b"foreign", "text/plain"):
                publish = connection.Producer().publish
                publish(body, queue, content_type=kind, content_encoding="utf-8")
                own = app.amqp.as_task_v2("1", "shop.bill").headers
                publish(body, queue, content_type=kind, content_encoding="utf-8", headers=own)
        known["bill"].delay()
        worked(app, 1)
        assert service.shapes() == [["shop.nobodys"], ["shop.bill", "  process shop.bill"]]
        assert service.envelopes()[0].envelope.id == result.id

    @pytest.mark.parametrize("serializer", ["json", "pickle", "yaml"])
    def test_any_serializer_carries_envelopes(self, service, app, serializer):
        app.conf.accept_content = [serializer]
        sent, seen = make(), []
        task = tasks(app, handle=lambda _, when: seen.append(when))["handle"]
        when = datetime(2026, 11, 28, tzinfo=timezone.utc)
        task.apply_async([json.loads(sent.body), when], serializer=serializer)
        service.forget()
        worked(app, 1)
        assert len(seen) == 1
        assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]

    def test_what_celery_says_of_itself_is_no_envelope(self, service, app):
        app.conf.update(
            result_backend="rpc://", task_ignore_result=False, task_send_sent_event=True,
            worker_send_task_events=True,
        )  # fmt: skip
        tasks(app, bill=lambda: json.loads(make().body))["bill"].delay()
        worked(app, 1)
        assert service.shapes() == [["shop.bill", "  process shop.bill"]]
        assert len(service.envelopes()) == 1


class TestEager(Scenarios):
    @pytest.fixture
    def app(self):
        with application("memory://") as app:
            app.conf.task_always_eager = True
            yield app

    def test_eager_task_is_sent_and_handled_where_it_is_called(self, service, app):
        task = tasks(app, bill=lambda n: n)["bill"]
        result = task.apply_async([7])
        assert result.result == 7
        assert service.shapes() == [["shop.bill", "  process shop.bill"]]
        (send,) = service.spans("send")
        (process,) = service.spans("process")
        assert parent(process) == span_spot(send)
        assert [span.attributes["messaging.system"] for span in (send, process)] == ["celery"] * 2
        (record,) = service.envelopes()
        (delivery,) = service.deliveries()
        assert record.envelope.id == delivery.envelope.id == result.id
        assert (record.channel, delivery.outcome) == (None, "ok")

    def test_eager_tasks_within_another_are_one_tree(self, service, app):
        def handle(_):
            known["bill"].delay(7)
            current.append(otelope.current().id)

        current = []
        known = tasks(app, handle=handle, bill=lambda _: None)
        sent = make(make_id=foreign_id)
        known["handle"].delay(json.loads(sent.body))
        assert current == [sent.id]
        assert service.shapes() == [
            ["PlaceOrder", "  process PlaceOrder", "    shop.bill", "      process shop.bill"]
        ]
        (bill,) = [r for r in service.envelopes() if r.envelope.type == "shop.bill"]
        assert bill.envelope.parent_id == sent.id
        assert [link for span in service.spans() for link in links(span)] == []

    @pytest.mark.parametrize("propagates", [False, True])
    def test_eager_task_that_fails_says_so(self, service, app, propagates):
        app.conf.task_eager_propagates = propagates
        error = ValueError("no such order")

        def fail():
            raise error

        task = tasks(app, fail=fail)["fail"]
        if propagates:
            with pytest.raises(ValueError, match="no such order") as caught:
                task.delay()
            assert caught.value is error
        else:
            assert task.delay().result is error
        (delivery,) = service.deliveries()
        assert (delivery.outcome, delivery.error_type) == ("error", "ValueError")
        assert not trace.get_current_span().get_span_context().is_valid

    @pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs first"])
    def test_eager_task_beside_contrib_is_handled_within_their_span(
        self, service, app, ours_first
    ):
        module = pytest.importorskip("opentelemetry.instrumentation.celery")
        contrib = module.CeleryInstrumentor()
        if not ours_first:
            instrumentor.uninstrument()
        contrib.instrument(tracer_provider=service.provider)
        try:
            service.instrument()
            tasks(app, bill=lambda: None)["bill"].delay()
        finally:
            contrib.uninstrument()
        assert service.shapes() == [["shop.bill", "  process shop.bill"]]
        (theirs,) = [span for span in service.all_spans() if not is_ours(span)]
        (handling,) = service.spans("process")
        assert (handling.kind.name, parent(handling)) == ("INTERNAL", span_spot(theirs))
        assert not trace.get_current_span().get_span_context().is_valid

    def test_eager_retry_is_a_second_delivery(self, service, app):
        def handle(task):
            if not task.request.retries:
                raise task.retry(exc=ValueError("not now"))

        tasks(app, bind=True, handle=handle)["handle"].delay()
        assert len(service.envelopes()) == 1
        assert [(d.outcome, d.attempt) for d in service.deliveries()] == [("error", 1), ("ok", 2)]


@contextmanager
def application(address):
    with made(address) as app:
        app.set_current()
        app.conf.task_default_queue = new_channel()
        yield app


def tasks(app, *, bind=False, acks_late=False, **functions):
    options = {"bind": bind, "acks_late": acks_late, "shared": False, "typing": False}
    for name, function in functions.items():
        function.__name__ = name  # Celery takes no lambda
        app.task(function, name=f"shop.{name}", **options)
    return {name: app.tasks[f"shop.{name}"] for name in functions}


def worked(app, count):
    """Handle so many deliveries."""

    def done(**_):
        nonlocal count
        count -= 1
        if not count:
            stop()

    signals.task_postrun.connect(done, weak=False)
    try:
        work(app, [app.conf.task_default_queue])
    finally:
        signals.task_postrun.disconnect(done)
    assert count == 0
    with app.connection_for_write() as connection:
        Queue(app.conf.task_default_queue)(connection).delete()
