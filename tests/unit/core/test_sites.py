"""What the wrappers do to a library, seen from both of its sides."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading

import letters
import pytest

from opentelemetry import context as otel
from opentelemetry import trace

from otelope.core.guard import guard
from otelope.core.operation import _delivery_in, ambient_delivery
from otelope.core.patching import locate
from otelope.testing.messages import make
from otelope.testing.spans import links, parent, span_spot
from tests.service import told
from tests.unit.core.conftest import ADAPTER


@pytest.fixture(autouse=True)
def _clean_context():
    """Each test begins and ends with nothing current."""
    before = otel.get_current()
    token = otel.attach(otel.Context())
    yield
    assert ambient_delivery() is None
    otel.detach(token)
    assert otel.get_current() is before


def current():
    delivery = ambient_delivery()
    return delivery.envelope.id if delivery else None


def message(sent=None):
    sent = sent or make()
    return letters.Message(sent.body)


def depth():
    """How many deliveries hang on to one another from here."""
    delivery, found = ambient_delivery(), 0
    while delivery is not None:
        found += 1
        delivery = _delivery_in(delivery._before)
    return found


class TestSend:
    def test_what_is_no_envelope_reaches_the_library_as_the_very_objects(self, client, service):
        channel, body, headers = str(object()), bytes(make().body[:9]), {"a": "b"}
        assert client.send(channel, body, headers=headers) == "sent"
        assert all(a is b for a, b in zip(client.calls[0], (channel, body, headers), strict=True))
        assert service.spans() == []

    def test_envelope_gets_headers_in_a_copy(self, client, service):
        headers, sent = {"a": "b"}, make()
        client.send("orders", sent.body, headers)
        client.send("orders", sent.body, headers=headers)
        assert headers == {"a": "b"}
        for channel, body, given in client.calls:
            assert (channel, body, given["a"]) == ("orders", sent.body, "b")
            assert body is sent.body
            assert given.keys() == {"a", "traceparent", "tracestate"}

    @pytest.mark.parametrize(
        "error", [ValueError("x"), KeyboardInterrupt(), GeneratorExit(), SystemExit(3)], ids=repr
    )
    def test_exception_is_the_same_object(self, client, service, error):
        client.failure = error
        before = otel.get_current()
        with pytest.raises(type(error)) as caught:
            client.send("orders", make().body)
        assert caught.value is error
        (span,) = service.spans("send")
        assert span.status.status_code.name == "ERROR"
        assert span.attributes["error.type"] == type(error).__qualname__
        assert otel.get_current() is before

    def test_cancelled_sending_ends_its_span(self, client, service):
        client.failure = None

        async def cancel():
            before = otel.get_current()
            task = asyncio.current_task()
            asyncio.get_running_loop().call_soon(task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await client.send_later("orders", make().body)
            assert otel.get_current() is before

        asyncio.run(cancel())
        (span,) = service.spans("send")
        assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"

    def test_what_is_promised_and_kept_has_nothing_to_be_told(self, client, service):
        sent = make()
        assert client.promise("orders", sent.body) is client.promised
        client.promised.set_result("sent")
        assert [span.name for span in service.spans("send")] == ["send orders"]
        assert service.done() == []

    @pytest.mark.parametrize("at_once", [True, False])
    def test_what_is_promised_and_fails_is_told_as_failed_once(self, client, service, at_once):
        sent, error = make(), ValueError("no such channel")
        if at_once:
            client.promised.set_exception(error)
        answer = client.promise("orders", sent.body)
        if not at_once:
            assert service.done() == []
            client.promised.set_exception(error)
        assert answer.exception() is error
        said = [(each.envelope.id, each.outcome, each.error_type) for each in service.done()]
        assert said == [(sent.id, "error", "ValueError")]
        (span,) = service.spans("send")
        assert span.status.status_code.name == ("ERROR" if at_once else "UNSET")

    def test_what_is_promised_and_cancelled_is_told_so(self, client, service):
        client.promise("orders", make().body).cancel()
        assert [each.error_type for each in service.done()] == ["cancelled"]

    @pytest.mark.parametrize("refused", [None, "too large"])
    def test_what_a_callback_is_told_is_how_it_ended(self, client, service, refused):
        sent, said = make(), []
        client.refuses = refused
        client.send_and_tell("orders", sent.body, said.append)
        assert said == [refused]
        assert client.calls[0][2].keys() == {"traceparent", "tracestate"}
        errors = [(each.envelope.id, each.error_type) for each in service.done()]
        assert errors == ([(sent.id, refused)] if refused else [])

    def test_what_a_callback_raises_is_the_librarys_to_see(self, client, service):
        def fail(_):
            raise ValueError("in the callback")

        with pytest.raises(ValueError, match="in the callback"):
            client.send_and_tell("orders", make().body, fail)

    def test_wrapped_coroutine_function_still_is_one(self, client):
        assert inspect.iscoroutinefunction(letters.Client.send_later)
        assert not inspect.iscoroutinefunction(letters.Client.send)

    def test_is_current_while_the_library_sends(self, client, service):
        seen = []
        sent = make()

        class Calls(list):
            def append(self, call):
                seen.append(trace.get_current_span().get_span_context().span_id)

        client.calls = Calls()
        client.send("orders", sent.body)
        assert seen == [sent.spot.span_id]

    def test_tasks_do_not_mix(self, client, service):
        sent = [make() for _ in range(20)]

        async def handle(each):
            mine = letters.Client(message(each))
            await mine.get_later()
            await asyncio.sleep(0)
            assert current() == each.id
            following = make("OrderPlaced", each.id)
            await client.send_later("orders", following.body)
            assert current() == each.id
            mine.close()
            assert current() is None

        async def main():
            await asyncio.gather(*map(handle, sent))

        asyncio.run(main())
        handled = {parent(span): span_spot(span) for span in service.spans("process")}
        assert handled.keys() == {each.spot for each in sent}
        assert {parent(span) for span in service.spans("send")} == set(handled.values())
        assert all(links(span) == [] for span in service.spans())

    def test_threads_do_not_mix(self, client, service):
        sent = [make() for _ in range(8)]
        together = threading.Barrier(len(sent))
        failures = []

        def handle(each):
            mine = letters.Client(message(each))
            mine.get()
            together.wait(10)
            if current() != each.id:
                failures.append(each)
            mine.send("orders", make("OrderPlaced", each.id).body)
            together.wait(10)
            mine.close()

        threads = [threading.Thread(target=handle, args=[each]) for each in sent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sorted(service.shapes()) == sorted([["process PlaceOrder", "  OrderPlaced"]] * 8)


class TestSendMany:
    def letters(self, *sent, **more):
        return [{"channel": "orders", "body": each.body, **more} for each in sent]

    def test_each_has_its_own_span_record_and_headers_and_none_is_current(self, client, service):
        cause = make()
        sent = [make("OrderPlaced", cause.id) for _ in range(3)]
        letters = self.letters(*sent, headers={"a": "b"})
        before = [dict(letter) for letter in letters]
        client.send_all(letters)
        assert letters == before
        assert [span_spot(span) for span in service.spans("send")] == [s.spot for s in sent]
        assert [parent(span) for span in service.spans("send")] == [cause.spot] * 3
        assert [record.envelope.id for record in service.envelopes()] == [s.id for s in sent]
        (given,) = client.calls
        for letter, each in zip(given, sent, strict=True):
            assert letter["headers"]["a"] == "b"
            assert f"{each.spot.span_id:016x}" in letter["headers"]["traceparent"]
        assert service.done() == []

    def test_what_is_no_envelope_goes_as_the_very_object(self, client, service):
        first, second, third = self.letters(make(), make(), make())
        second["body"] = b"[]"
        client.send_all(letters := [first, second, third, None])
        assert client.calls[0][1] is second
        assert client.calls[0][3] is None
        assert len(service.spans("send")) == 2
        client.send_all(letters := [second, None])
        assert client.calls[1] is letters

    def test_each_that_the_answer_refuses_fails_alone(self, client, service):
        sent = [make(), make(), make()]
        first, second, third = self.letters(*sent)
        answer = client.send_all([first, {**second, "refused": True}, third])
        assert answer == [None, "refused", None]
        (failed,) = service.done()
        assert (failed.envelope.id, failed.operation) == (sent[1].id, "send")
        assert (failed.outcome, failed.error_type) == ("error", "refused")
        assert [span.status.is_ok for span in service.spans("send")] == [True, False, True]

    @pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()], ids=repr)
    def test_what_the_library_raises_is_the_hosts_and_every_sendings(self, client, service, error):
        client.failure = error
        with pytest.raises(type(error)) as caught:
            client.send_all(self.letters(make(), make()))
        assert caught.value is error
        assert [each.outcome for each in service.done()] == ["error"] * 2
        kinds = [span.attributes["error.type"] for span in service.spans("send")]
        assert kinds == [type(error).__name__] * 2

    def test_an_asynchronous_one_does_the_same(self, client, service):
        sent = [make(), make()]

        async def send():
            letters = self.letters(*sent)
            return await client.send_all_later([letters[0], {**letters[1], "refused": True}])

        assert asyncio.run(send()) == [None, "refused"]
        assert [span_spot(span) for span in service.spans("send")] == [s.spot for s in sent]
        assert [each.envelope.id for each in service.done()] == [sent[1].id]
        assert client.calls[0][0]["headers"]["traceparent"]

    def test_what_is_sent_twice_in_one_call_hangs_below_its_first(self, client, service):
        sent = make()
        client.send_all(self.letters(sent, sent))
        first, second = service.spans("send")
        assert parent(second) == span_spot(first) == sent.spot
        assert len(service.envelopes()) == 1

    def test_an_inner_layer_of_it_sends_nothing_of_its_own(self, client, service):
        sent = [make(), make()]
        client.one_by_one = True
        client.send_all(self.letters(*sent))
        assert [span_spot(span) for span in service.spans("send")] == [s.spot for s in sent]
        assert [headers["traceparent"] for _, _, headers in client.calls[1:]]

    def test_a_system_without_headers_is_not_stamped(self, patches, service):
        postcards, sent = letters.Postcards(), self.letters(make(), make())
        postcards.send_all(sent)
        assert postcards.calls[0] is sent
        systems = [span.attributes["messaging.system"] for span in service.spans("send")]
        assert systems == ["postcards"] * 2

    def test_one_that_fails_in_us_costs_the_others_nothing(self, client, service, monkeypatch):
        monkeypatch.setattr(guard, "strict", False)
        swallowed = guard.total
        whole, broken = self.letters(make(), make())
        broken["headers"] = 7  # no carrier reads that
        client.send_all([broken, whole])
        assert guard.total > swallowed
        assert client.calls[0][0] is broken
        assert client.calls[0][1]["headers"]["traceparent"]


class TestOperations:
    def test_a_call_is_what_its_name_says_and_others_pass(self, client, service):
        sent, arrived = make(), message()
        assert client.operate("send", {"channel": "orders", "body": sent.body}) == "operated"
        assert client.calls[-1][1]["headers"]["traceparent"]
        client.queue.append(arrived)
        assert client.operate("get") is arrived
        handled = current()
        assert client.operate("count", letter := {"channel": "orders"}) == "operated"
        assert client.calls[-1][1] is letter
        assert current() == handled
        client.operate("refuse")
        assert told(service) == [(handled, "error", "rejected")]

    def test_an_asynchronous_one_does_the_same(self, client, service):
        async def operate():
            client.queue.append(message(sent))
            await client.operate_later("send", {"channel": "orders", "body": sent.body})
            await client.operate_later("get")
            assert current() == sent.id
            await client.operate_later("refuse")

        sent = make()
        asyncio.run(operate())
        assert len(service.spans("send")) == 1
        assert told(service) == [(sent.id, "error", "rejected")]


class TestReceive:
    def test_lasts_until_the_next_word(self, client, service):
        sent = [make(), make()]
        client.queue.extend(map(message, sent))
        client.get()
        assert current() == sent[0].id
        client.get()
        assert current() == sent[1].id
        assert told(service) == [(sent[0].id, "ok", None)]
        client.commit()
        assert current() is None
        assert told(service) == [(each.id, "ok", None) for each in sent]
        client.close()
        assert len(told(service)) == 2

    def test_poll_that_brings_nothing_ends_the_last(self, client, service):
        sent = make()
        client.queue.append(message(sent))
        client.get()
        assert client.get() is None
        assert current() is None
        assert told(service) == [(sent.id, "ok", None)]

    def within_a_span(self, service, client, kind):
        """Receive as another instrumentation does, within a span of its own."""
        tracer = service.provider.get_tracer("theirs")
        with tracer.start_as_current_span("around", kind=kind):
            client.get()

    def test_goes_on_where_a_clients_span_around_it_took_the_context_back(self, client, service):
        cause = make()
        sent = make("OrderPlaced", cause.id)
        client.queue.append(message(cause))
        self.within_a_span(service, client, trace.SpanKind.CONSUMER)
        assert not trace.get_current_span().get_span_context().is_valid
        assert current() == cause.id
        # What is sent within another such span, too.
        with service.provider.get_tracer("theirs").start_as_current_span(
            "call", kind=trace.SpanKind.CLIENT
        ):
            client.send("orders", sent.body)
        client.commit()
        assert current() is None
        (handling,) = service.spans("process")
        (span,) = service.spans("create")
        assert parent(span) == span_spot(handling)
        assert told(service) == [(cause.id, "ok", None)]

    def test_does_not_go_on_in_what_is_another_requests(self, client, service):
        client.queue.append(message())
        tracer = service.provider.get_tracer("app")
        with tracer.start_as_current_span("request", kind=trace.SpanKind.SERVER):
            self.within_a_span(service, client, trace.SpanKind.CLIENT)
            assert current()
        assert current() is None
        with tracer.start_as_current_span("request", kind=trace.SpanKind.SERVER):
            assert current() is None

    def test_does_not_go_on_where_the_applications_own_span_is_over(self, client, service):
        client.queue.append(message())
        self.within_a_span(service, client, trace.SpanKind.INTERNAL)
        assert current() is None

    def test_commit_in_an_except_block_says_error(self, client, service):
        sent = make()
        client.queue.append(message(sent))
        client.get()

        def fail():
            try:
                raise ValueError("bad")
            finally:
                client.commit()

        with pytest.raises(ValueError, match="bad"):
            fail()
        assert told(service) == [(sent.id, "error", "ValueError")]

    def test_error_that_was_there_before_is_not_the_handlings(self, client, service):
        sent = make()
        client.queue.append(message(sent))
        try:
            raise ValueError("earlier")  # noqa: TRY301 - its block is the point
        except ValueError:
            client.get()
            client.commit()
        assert told(service) == [(sent.id, "ok", None)]

    def test_refusal_says_error(self, client, service):
        sent = make()
        client.queue.append(message(sent))
        client.get()
        client.reject()
        assert told(service) == [(sent.id, "error", "rejected")]

    def test_message_that_is_settled_ends_its_own_handling_only(self, client, service):
        first, second = make(), make()
        client.queue.extend([message(first), message(second)])
        early, late = client.get(), client.get()
        assert early.done() == "done"
        assert current() == second.id
        assert late.done() == "done"
        assert current() is None
        assert told(service) == [(first.id, "ok", None), (second.id, "ok", None)]

    def test_message_that_is_refused_is_the_one_that_failed(self, client, service):
        sent = make()
        client.queue.append(message(sent))
        got = client.get()
        # As a client does that gives back what it has fetched ahead.
        assert message().refuse() == "refused"
        assert told(service) == []
        got.refuse()
        assert told(service) == [(sent.id, "error", "rejected")]

    def test_message_refused_in_a_callback_is_the_one_that_failed(self, client, service):
        sent = make()

        def callback(got):
            message().refuse()
            assert told(service) == []
            got.refuse()

        client.subscribe("orders", callback)
        client.callback(message(sent))
        assert told(service) == [(sent.id, "error", "rejected")]

    def test_close_by_a_generator_that_is_left_does_not_say_how_it_ended(self, client, service):
        sent = make()
        client.queue.append(message(sent))

        def consume():
            try:
                yield client.get()
            finally:
                client.close()

        for _ in consume():
            break
        assert told(service) == [(sent.id, "unknown", None)]

    def test_consumer_that_is_thrown_away_leaves_nothing_open(self, patches, service):
        sent = make()
        thrown_away = letters.Client(message(sent))
        thrown_away.get()
        assert current() == sent.id
        del thrown_away
        gc.collect()
        assert current() is None
        assert told(service) == [(sent.id, "unknown", None)]

    def test_two_consumers_in_turns_do_not_chain_their_contexts(self, patches, service):
        consumers = letters.Client(), letters.Client()
        depths = []
        for turn in range(200):
            consumer = consumers[turn % 2]
            consumer.queue.append(message())
            consumer.get()
            depths.append(depth())
        for consumer in consumers:
            consumer.close()
        assert max(depths) <= 3
        assert len(told(service)) == 200
        assert current() is None

    def test_delivery_ended_in_another_task_is_not_current_here(self, patches, service):
        sent = make()
        consumer = letters.Client(message(sent))

        async def main():
            async def poll():
                await consumer.get_later()
                assert current() == sent.id
                # A task that is started now inherits what is current.
                heir = asyncio.create_task(inherit())
                await asyncio.sleep(0)
                consumer.commit()
                ended.set()
                await heir

            async def inherit():
                assert current() == sent.id
                await ended.wait()
                assert current() is None
                following = make("OrderPlaced")
                consumer.send("orders", following.body)

            ended = asyncio.Event()
            await asyncio.create_task(poll())

        asyncio.run(main())
        (span,) = service.spans("send")
        assert parent(span) is None
        (record,) = [r for r in service.envelopes() if r.recorded_by == "sender"]
        assert (record.parent_inferred, record.envelope.parent_id) == (False, None)


class TestShared:
    """One client by which several tasks receive at once."""

    def test_each_task_has_its_own(self, client, service):
        sent = [make() for _ in range(4)]
        client.queue.extend(map(message, sent[:2]))

        async def work(later):
            await client.take_later()
            mine = current()
            handling.append(mine)
            if len(handling) == 2:
                both.set()
            await both.wait()
            assert current() == mine
            client.queue.append(message(later))
            await client.take_later()
            assert current() == later.id
            await client.take_later()
            assert current() is None

        async def main():
            tasks = [asyncio.create_task(work(later)) for later in sent[2:]]
            await asyncio.gather(*tasks)

        both, handling = asyncio.Event(), []
        asyncio.run(main())
        assert sorted(told(service)) == sorted((each.id, "ok", None) for each in sent)
        assert [links(span) for span in service.spans("process")] == [[]] * 4

    def test_close_ends_all_and_blames_its_own(self, client, service):
        sent = [make(), make()]
        client.queue.extend(map(message, sent))

        async def main():
            async def hang():
                await client.take_later()
                handling.set()
                await asyncio.Event().wait()

            handling = asyncio.Event()
            task = asyncio.create_task(hang())
            await handling.wait()
            await client.take_later()
            try:
                raise ValueError("bad")  # noqa: TRY301 - its block is the point
            except ValueError:
                client.close()
            assert current() is None
            task.cancel()

        asyncio.run(main())
        assert sorted(told(service)) == sorted(
            [(sent[0].id, "unknown", None), (sent[1].id, "error", "ValueError")]
        )

    def test_task_that_is_gone_leaves_nothing_open(self, client, service):
        sent = make()
        client.queue.append(message(sent))

        async def main():
            await asyncio.create_task(client.take_later())
            await asyncio.sleep(0)  # the loop's own hold on it ends with its turn
            gc.collect()
            assert told(service) == [(sent.id, "unknown", None)]

        asyncio.run(main())


class TestLayers:
    def test_a_call_made_of_another_is_one_sending(self, client, service):
        sent = make()
        client.ask("orders", sent.body)
        (span,) = service.spans("send")
        assert span_spot(span) == sent.spot
        ((_, _, headers),) = client.calls
        assert headers.keys() == {"traceparent", "tracestate"}
        assert service.done() == []

    def test_a_client_that_stands_on_another_sends_once(self, client, service):
        sent = make()
        assert letters.Courier(client).send("orders", sent.body) == "sent"
        (span,) = service.spans("send")
        assert span_spot(span) == sent.spot
        ((_, _, headers),) = client.calls
        assert headers.keys() == {"traceparent", "tracestate"}
        assert service.done() == []

    def test_another_envelope_or_channel_within_it_is_another_sending(self, client, service):
        first, second = make(), make()

        def pass_on(_):
            client.send("orders", second.body)
            client.send("elsewhere", first.body)

        class Calls(list):
            def append(self, call):
                super().append(call)
                if len(self) == 1:
                    pass_on(call)

        client.calls = Calls()
        client.send("orders", first.body)
        assert [span.name for span in service.spans("send")] == [
            "send orders",
            "send orders",
            "send elsewhere",
        ]

    def test_the_same_sent_again_afterwards_is_told_again(self, client, service):
        sent = make()
        client.ask("orders", sent.body)
        client.ask("orders", sent.body)
        assert len(service.spans("send")) == 2
        assert [record.operation for record in service.done()] == ["send"]

    def test_answer_is_told_at_once_and_is_never_current(self, client, service):
        asked, handled = make(), make("OrderPlaced")
        client.queue.append(message(handled))
        client.ask("orders", asked.body)
        assert current() is None
        assert told(service) == [(handled.id, "ok", None)]

    def test_what_is_received_through_another_is_told_once(self, patches, service):
        sent = [make(), make()]
        batches = letters.Batches(*map(message, sent))
        batches.fetch(2)
        del batches
        gc.collect()
        (span,) = service.spans("process")
        assert links(span) == [each.spot for each in sent]

    def test_callback_that_is_passed_on_is_wrapped_once(self, client, service):
        handler, sent = Handler(), make()
        client.subscribe_through("orders", handler)
        assert client.callback.__wrapped__ is handler
        client.callback(message(sent))
        assert told(service) == [(sent.id, "ok", None)]

    def test_what_is_polled_within_a_callback_ends_with_it(self, client, service):
        outer, inner = make(), make()
        client.queue.append(message(inner))

        def handle(_):
            client.get()
            assert current() == inner.id
            raise ValueError("bad")

        client.subscribe("orders", handle)
        with pytest.raises(ValueError, match="bad"):
            client.callback(message(outer))
        assert current() is None
        assert told(service) == [
            (inner.id, "error", "ValueError"),
            (outer.id, "error", "ValueError"),
        ]


class TestSettle:
    def fetched(self, *sent):
        batches = letters.Batches(*map(message, sent))
        return batches, batches.fetch(len(sent))

    def test_each_of_a_batch_has_an_outcome_of_its_own(self, client, service):
        sent = [make() for _ in range(3)]
        batches, got = self.fetched(*sent)
        client.acknowledge(got[0])
        client.refuse(got[1])
        assert service.deliveries() == []
        client.acknowledge(got[2])
        assert told(service) == [
            (sent[0].id, "ok", None),
            (sent[1].id, "error", "rejected"),
            (sent[2].id, "ok", None),
        ]
        (span,) = service.spans("process")
        assert span.attributes["error.type"] == "rejected"
        assert current() is None
        del batches

    def test_what_of_a_batch_was_settled_before_it_failed_is_not_its_failure(
        self, client, service
    ):
        sent = [make(), make()]
        batches, got = self.fetched(*sent)
        client.acknowledge(got[0])
        try:
            raise ValueError("bad")  # noqa: TRY301 - its block is the point
        except ValueError:
            client.acknowledge(got[1])
        assert told(service) == [(sent[0].id, "ok", None), (sent[1].id, "error", "ValueError")]
        del batches

    def test_several_are_settled_at_once(self, client, service):
        sent = [make(), make()]
        batches, got = self.fetched(*sent)
        client.acknowledge(*got)
        assert told(service) == [(each.id, "ok", None) for each in sent]
        del batches

    def test_what_another_consumer_received_goes_on(self, client, service):
        sent = make()
        client.queue.append(message(sent))
        got = client.get()
        client.acknowledge(letters.Message(sent.body))
        assert current() == sent.id
        client.close()
        del got  # until here: freed, its receipt could be another message's

    def test_in_a_callback_it_ends_with_the_callback(self, client, service):
        sent = make()

        def handle(got):
            client.refuse(got)
            assert current() == sent.id

        client.subscribe("orders", handle)
        client.callback(message(sent))
        assert told(service) == [(sent.id, "error", "rejected")]

    def test_in_an_except_block_of_a_callback_it_says_what_failed(self, client, service):
        sent = make()

        def handle(got):
            try:
                raise ValueError("bad")  # noqa: TRY301 - its block is the point
            except ValueError:
                client.acknowledge(got)

        client.subscribe("orders", handle)
        client.callback(message(sent))
        assert told(service) == [(sent.id, "error", "ValueError")]

    def test_error_that_was_there_before_a_callback_is_not_the_handlings(self, client, service):
        sent = make()

        def handle(got):
            client.acknowledge(got)

        client.subscribe("orders", handle)
        try:
            raise ValueError("earlier")  # noqa: TRY301 - its block is the point
        except ValueError:
            client.callback(message(sent))
        assert told(service) == [(sent.id, "ok", None)]


class TestIterate:
    def test_each_lasts_until_the_next_is_asked_for(self, client, service):
        sent = [make(), make(), make()]
        client.queue.extend(map(message, sent))
        seen = [current() for _ in client.iterate()]
        assert seen == [each.id for each in sent]
        assert told(service) == [(each.id, "ok", None) for each in sent]

    def test_break_ends_with_the_generator(self, client, service):
        sent = make()
        client.queue.extend([message(sent), message()])
        for _ in client.iterate():
            break
        gc.collect()
        assert current() is None
        assert told(service) == [(sent.id, "unknown", None)]

    def test_close_passes_on_to_the_librarys_generator(self, client, service):
        client.queue.extend([message(), message()])
        iterator = client.iterate()
        next(iterator)
        iterator.close()
        assert len(client.queue) == 1
        with pytest.raises(StopIteration):
            next(iterator)

    def test_exception_of_the_loops_body_is_the_handlings(self, client, service):
        sent = make()
        client.queue.append(message(sent))

        def loop():
            for _ in client.iterate():
                raise ValueError("bad")

        with pytest.raises(ValueError, match="bad"):
            loop()
        gc.collect()
        assert [outcome for _, outcome, _ in told(service)] in (["error"], ["unknown"])


class Handler:
    def __init__(self):
        self.seen = []

    def method(self, got):
        self.seen.append((got, current()))
        return "handled"

    __call__ = method

    async def later(self, got):
        await asyncio.sleep(0)
        return self.method(got)


class TestProcess:
    def test_absent_callback_stays_absent(self, client):
        client.subscribe("orders")
        assert client.callback is None
        client.subscribe("orders", None)
        assert client.callback is None
        client.subscribe("orders", callback=None)
        assert client.callback is None

    @pytest.mark.parametrize(
        "form",
        [
            lambda handler: handler,
            lambda handler: handler.method,
            lambda handler: functools.partial(handler.method),
            lambda handler: lambda got: handler.method(got),  # noqa: PLW0108 - a form of its own
        ],
        ids=["object", "bound method", "partial", "function"],
    )
    @pytest.mark.parametrize("by_name", [False, True])
    def test_every_form_of_callback(self, client, service, form, by_name):
        handler, sent = Handler(), make()
        callback = form(handler)
        if by_name:
            client.subscribe("orders", callback=callback)
        else:
            client.subscribe("orders", callback)
        got = message(sent)
        assert client.callback(got) == "handled"
        assert handler.seen == [(got, sent.id)]
        assert told(service) == [(sent.id, "ok", None)]
        assert current() is None

    @pytest.mark.parametrize(
        ("headers", "channel"), [({}, "here"), ({"channel": "orders"}, "orders")]
    )
    def test_message_that_does_not_say_where_it_is_from_is_from_where_it_was_asked_for(
        self, client, service, headers, channel
    ):
        client.subscribe_at("here", lambda _: None)
        client.callback(letters.Message(make().body, headers))
        assert [each.channel for each in service.deliveries()] == [channel]

    def test_what_a_callback_takes_by_name_may_be_called_anything(self, client, service):
        named = {"self": 1, "channel": 2, "wrapping": 3, "message_of": 4, "callback": 5}
        seen = []

        def note(**got):
            seen.append(got)

        client.subscribe_by_name("here", note)
        got = {"message": message(), **named}
        client.callback(**got)
        assert seen == [got]
        assert [each.channel for each in service.deliveries()] == ["here"]

    @pytest.mark.parametrize(
        "form",
        [lambda h: h.later, lambda h: functools.partial(h.later)],
        ids=["method", "partial"],
    )
    def test_coroutine_callbacks(self, client, service, form):
        handler, sent = Handler(), make()
        client.subscribe("orders", form(handler))
        got = message(sent)
        assert inspect.iscoroutinefunction(client.callback) == inspect.iscoroutinefunction(
            form(handler)
        )
        assert asyncio.run(client.callback(got)) == "handled"
        assert handler.seen == [(got, sent.id)]
        assert told(service) == [(sent.id, "ok", None)]

    @pytest.mark.parametrize(
        "error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)], ids=repr
    )
    def test_exception_is_the_same_object(self, client, service, error):
        def fail(_):
            raise error

        client.subscribe("orders", fail)
        with pytest.raises(type(error)) as caught:
            client.callback(message())
        assert caught.value is error
        assert told(service)[0][1:] == ("error", type(error).__qualname__)
        assert current() is None

    def test_callback_called_within_another_is_a_stack(self, client, service):
        outer, inner = make(), make()
        order = []

        def handle(got):
            order.append(current())
            if len(order) == 1:
                client.callback(message(inner))
                order.append(current())

        client.subscribe("orders", handle)
        client.callback(message(outer))
        assert order == [outer.id, inner.id, outer.id]
        assert told(service) == [(inner.id, "ok", None), (outer.id, "ok", None)]

    def test_callback_that_another_instrumentation_stands_for_is_handled_within_it(
        self, client, service
    ):
        handler, sent = Handler(), make()

        def around(callback):
            def decorated(got):
                # As contrib's for aio-pika: a context of its own, from the message's headers.
                token = otel.attach(otel.Context())
                try:
                    return callback(got)
                finally:
                    otel.detach(token)

            decorated.__module__ = "opentelemetry.instrumentation.letters"
            return decorated

        client.subscribe("orders", around(handler))
        got = message(sent)
        assert client.callback(got) == "handled"
        assert handler.seen == [(got, sent.id)]
        client.subscribe("orders", around(client.get))
        assert client.callback.__closure__[0].cell_contents == client.get
        assert told(service) == [(sent.id, "ok", None)]

    def test_what_is_no_envelope_is_handled_plainly(self, client, service):
        handler = Handler()
        client.subscribe("orders", handler)
        got = letters.Message(b"plain")
        client.callback(got)
        assert handler.seen == [(got, None)]
        assert (service.spans(), service.records) == ([], [])


class TestWithin:
    @pytest.mark.parametrize("channel", [None, "orders"])
    def test_what_does_not_say_where_it_is_from_is_from_what_is_worked_on(
        self, client, service, channel
    ):
        client.subscribe_at(None, lambda _: None)
        got = letters.Message(make().body, {"channel": channel})
        client.work("here", got)
        client.callback(got)
        assert [each.channel for each in service.deliveries()] == [channel or "here", channel]

    def test_what_another_adapter_hands_over_meanwhile_is_not_from_there(self, client, service):
        client.subscribe_at(None, lambda _: letters.Courier(client).bring(make().body))
        client.work("here", letters.Message(make().body, {}))
        assert [each.channel for each in service.deliveries()] == [None, "here"]

    def test_what_it_raises_is_the_hosts_and_ends_it(self, client, service):
        def fail(_):
            raise error

        error = ValueError("no such order")
        client.subscribe_at(None, fail)
        got = letters.Message(make().body, {})
        for call in (functools.partial(client.work, "here"), client.callback):
            with pytest.raises(ValueError, match="no such order") as caught:
                call(got)
            assert caught.value is error
        assert [each.channel for each in service.deliveries()] == ["here", None]

    def test_an_asynchronous_one_does_the_same_in_a_task_of_its_own(self, client, service):
        async def handle(_):
            await asyncio.sleep(0)

        async def work():
            client.subscribe_at(None, handle)
            got = [letters.Message(make().body, {}) for _ in range(3)]
            await asyncio.gather(client.work_later("a", got[0]), client.work_later("b", got[1]))
            await client.callback(got[2])

        asyncio.run(work())
        assert [each.channel for each in service.deliveries()] == ["a", "b", None]


class TestHandle:
    def test_callback_is_handled_wherever_it_comes_from(self, client, service):
        handler, sent = Handler(), make()
        client.callback = handler
        got = message(sent)
        assert client.dispatch(got) == "handled"
        assert client.callback is handler
        assert handler.seen == [(got, sent.id)]
        assert told(service) == [(sent.id, "ok", None)]

    def test_coroutine_is_handled_while_it_runs(self, client, service):
        handler, sent = Handler(), make()
        client.callback = handler.later
        got = message(sent)
        assert asyncio.run(client.dispatch_later(message=got)) == "handled"
        assert handler.seen == [(got, sent.id)]
        assert told(service) == [(sent.id, "ok", None)]

    def test_what_is_no_message_is_handed_on(self, client, service):
        handler = client.callback = Handler()
        client.dispatch(None)
        assert handler.seen == [(None, None)]
        assert service.records == []

    def test_exception_is_the_same_object_and_the_handlings_error(self, client, service):
        error, sent = ValueError("no such order"), make()

        def fail(_):
            raise error

        client.callback = fail
        with pytest.raises(ValueError, match="no such order") as caught:
            client.dispatch(message(sent))
        assert caught.value is error
        assert told(service) == [(sent.id, "error", "ValueError")]


class TestPatches:
    def test_removal_gives_the_original_objects_back(self, patches):
        patches.remove()
        for site in ADAPTER.sites:
            owner, name, _ = locate(site.target)
            assert inspect.isfunction(inspect.getattr_static(owner, name))

    def test_what_is_held_on_to_after_removal_passes_calls_on(self, client, patches, service):
        bound = client.send
        patches.remove()
        assert bound("orders", make().body) == "sent"
        assert service.spans() == []

    def test_site_that_does_not_exist_disables_itself_only(self, patches, service):
        from dataclasses import replace

        from otelope.core.hand_overs import HandOvers
        from otelope.core.patching import Patches
        from otelope.core.sites import Settle

        absent = Settle("tests.unit.core.library:Client.absent")
        gone = Settle("tests.unit.core.library:Nobody.close")
        nowhere = Settle("letters_elsewhere:Client.close")
        others = Patches(HandOvers())
        sites = (absent, gone, nowhere, ADAPTER.sites[-1])
        problems = others.put(replace(ADAPTER, sites=sites, also=()), None)
        assert [problem.partition(" ")[0] for problem in problems] == [
            site.target for site in (absent, gone, nowhere)
        ]
        assert [undo.name for undo in others._undos] == ["close"]
        others.remove()


class TestGuard:
    def test_lenient_guard_swallows_ours_and_counts(self, client, service, monkeypatch, caplog):
        monkeypatch.setattr(guard, "strict", False)
        monkeypatch.setattr(guard, "counts", type(guard.counts)())

        body = make().body

        class Hostile:
            def keys(self):
                return ["a"]

            def __getitem__(self, _):
                raise ValueError("secret of a message body")

        hostile = Hostile()
        for _ in range(3):
            assert client.send("orders", body, hostile) == "sent"
        assert client.calls[0][2] is hostile
        assert guard.total == 3
        assert len(caplog.records) == 1
        assert "ValueError" in caplog.text
        assert "secret" not in caplog.text

    def test_strict_guard_lets_ours_out(self, client):
        with pytest.raises(TypeError):
            client.send("orders", make().body, 5)
