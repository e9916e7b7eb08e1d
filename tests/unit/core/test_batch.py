"""What a call that sends several messages becomes, and one that answers with a coroutine."""

from __future__ import annotations

import asyncio

import letters
import pytest

from opentelemetry import trace

from otelope.core.operation import ambient_delivery
from otelope.testing.messages import make
from otelope.testing.spans import parent, span_spot


def here():
    return trace.get_current_span().get_span_context().span_id


def current():
    delivery = ambient_delivery()
    return delivery.envelope.id if delivery else None


def said(service):
    return [(each.envelope.id, each.outcome, each.error_type) for each in service.done()]


def send(client, style, letters):
    """Send in one of the styles; run in a loop where that is asynchronous."""
    if style == "send_many":
        return client.send_many("orders", letters)

    async def later():
        return await getattr(client, style)("orders", letters)

    return asyncio.run(later())


@pytest.fixture(autouse=True)
def _nothing_is_left_current():
    assert current() is None
    yield
    assert current() is None


STYLES = pytest.mark.parametrize("style", ["send_many", "send_many_later", "send_many_soon"])


@STYLES
def test_each_is_a_sending_of_its_own_and_none_causes_the_others(client, service, style):
    first, second, plain, headers = make(), make("OrderPlaced"), b"plain", {"a": "b"}
    letters = [(first.body, headers), (plain, None), (second.body, None)]
    given = list(letters)
    assert send(client, style, letters) == ["sent"] * 3
    assert (letters, headers) == (given, {"a": "b"})
    assert [span_spot(span) for span in service.spans("send")] == [first.spot, second.spot]
    assert [parent(span) for span in service.spans("send")] == [None, None]
    ((_, passed_on),) = client.calls
    assert [body for body, _ in passed_on] == [first.body, plain, second.body]
    assert [sorted(given or ()) for _, given in passed_on] == [
        ["a", "traceparent", "tracestate"],
        [],
        ["traceparent", "tracestate"],
    ]
    assert here() == 0


@STYLES
def test_one_alone_is_current_meanwhile_and_of_several_none_is(client, service, style):
    seen = []

    class Calls(list):
        def append(self, _):
            seen.append(here())

    client.calls = Calls()
    sent = make()
    send(client, style, [(sent.body, None)])
    send(client, style, [(make().body, None), (make().body, None)])
    assert seen == [sent.spot.span_id, 0]


@STYLES
def test_what_is_no_envelope_reaches_the_library_as_the_very_objects(client, service, style):
    letters = [(b"plain", None)]
    send(client, style, letters)
    assert client.calls[0][1] is letters
    assert service.spans() == []


@STYLES
def test_the_one_that_is_refused_is_the_one_that_failed(client, service, style):
    good, bad = make(), make("OrderPlaced")
    client.refuses = bad.body
    assert send(client, style, [(good.body, None), (b"", None), (bad.body, None)]) == [
        "sent",
        "sent",
        "too large",
    ]
    assert said(service) == [(bad.id, "error", "too large")]
    assert len(service.envelopes()) == 2


@STYLES
def test_exception_is_the_same_object_and_every_sendings_error(client, service, style):
    client.failure = ConnectionError("gone")
    sent = [make(), make()]
    with pytest.raises(ConnectionError) as caught:
        send(client, style, [(each.body, None) for each in sent])
    assert caught.value is client.failure
    assert said(service) == [(each.id, "error", "ConnectionError") for each in sent]
    assert here() == 0


def test_a_call_without_envelopes_does_not_hide_the_sending_that_it_is_within(client, service):
    sent = make()

    class Calls(list):
        def append(self, call):
            super().append(call)
            if len(self) == 1:
                client.send_many("orders", [(b"plain", None)])
            elif len(self) == 2:
                client.send("orders", sent.body)

    client.calls = Calls()
    client.send("orders", sent.body)
    assert len(client.calls) == 3
    assert [span_spot(span) for span in service.spans("send")] == [sent.spot]


class TestCoroutines:
    def test_what_answers_with_a_coroutine_sends_when_that_is_awaited(self, client, service):
        sent = make()

        async def main():
            answer = client.send_soon("orders", sent.body)
            assert (client.calls, here(), service.spans()) == ([], 0, [])
            # In another task than it was called in.
            assert await asyncio.ensure_future(answer) == "sent"
            assert here() == 0

        asyncio.run(main())
        assert [span_spot(span) for span in service.spans("send")] == [sent.spot]
        assert client.calls[0][2].keys() == {"traceparent", "tracestate"}

    def test_what_fails_at_once_fails_at_once(self, client, service):
        client.failure, sent = TypeError, make()
        with pytest.raises(TypeError, match="at once"):
            client.send_soon("orders", sent.body)
        assert said(service) == [(sent.id, "error", "TypeError")]
        assert here() == 0

    def test_what_fails_later_fails_where_it_is_awaited(self, client, service):
        client.failure, sent = ValueError("no"), make()

        async def main():
            answer = client.send_soon("orders", sent.body)
            with pytest.raises(ValueError, match="no") as caught:
                await answer
            assert caught.value is client.failure
            assert here() == 0

        asyncio.run(main())
        assert said(service) == [(sent.id, "error", "ValueError")]

    def test_many_at_once_do_not_mix(self, client, service):
        sent = [make() for _ in range(20)]

        async def main():
            await asyncio.gather(*(client.send_soon("orders", each.body) for each in sent))
            assert here() == 0

        asyncio.run(main())
        assert {span_spot(span) for span in service.spans("send")} == {e.spot for e in sent}
        assert all(parent(span) is None for span in service.spans("send"))


class TestSources:
    def test_handling_lasts_while_its_consumer_asks_elsewhere_in_vain(self, patches, service):
        first, second = make(), make()
        client = letters.Client(letters.Message(first.body), letters.Message(second.body))

        async def main():
            await client.take_soon("here")
            assert current() == first.id
            assert await client.take_soon("elsewhere") is None
            assert current() == first.id
            await client.take_soon("here")
            assert current() == second.id
            assert await client.take_soon("here") is None
            assert current() is None

        asyncio.run(main())
        assert said(service) == [(first.id, "ok", None), (second.id, "ok", None)]

    def test_what_comes_from_elsewhere_takes_its_place(self, patches, service):
        first, second = make(), make()
        client = letters.Client(letters.Message(first.body))

        async def main():
            await client.take_soon("here")
            client.queue.append(letters.Message(second.body))
            client.everywhere = True
            await client.take_soon("elsewhere")
            assert current() == second.id
            client.close()
            assert current() is None

        asyncio.run(main())
        assert said(service) == [(first.id, "ok", None), (second.id, "ok", None)]


class TestLastWords:
    def test_what_is_closed_in_another_task_failed_in_this_one(self, patches, service):
        sent = make()
        client = letters.Client(letters.Message(sent.body))

        async def main():
            await client.take_soon("here")
            try:
                int("no number of an order")
            except ValueError:
                await client.leave()
            assert current() is None

        asyncio.run(main())
        assert said(service) == [(sent.id, "error", "ValueError")]

    def test_finalizer_does_not_say_how_the_handling_ended(self, patches, service):
        sent = make()
        client = letters.Client(letters.Message(sent.body))
        client.get()
        client.finalize()
        assert current() is None
        assert said(service) == [(sent.id, "unknown", None)]


def test_asynchronous_generator_hands_over_one_after_the_other(patches, service):
    sent = [make() for _ in range(3)]
    client = letters.Client(*(letters.Message(each.body) for each in sent))
    seen = []

    async def main():
        messages = client.iterate_later()
        async for _ in messages:
            seen.append(current())
            if len(seen) == 2:
                break
        await messages.aclose()
        assert current() is None

    asyncio.run(main())
    assert seen == [each.id for each in sent[:2]]
    assert said(service) == [(sent[0].id, "ok", None), (sent[1].id, "unknown", None)]
    assert client.calls == ["left"]


def test_callbacks_by_channel_are_handled_each_and_what_is_none_stays_none(client, service):
    sent, seen = make(), []

    def handle(_):
        seen.append(current())

    client.subscribe_all(orders=handle, payments=None)
    assert client.callback.keys() == {"orders", "payments"}
    assert client.callback["payments"] is None
    client.callback["orders"](letters.Message(sent.body))
    assert seen == [sent.id]
    before = client.callback["orders"]
    client.subscribe_all(**client.callback)
    assert client.callback["orders"] is before
    assert said(service) == [(sent.id, "ok", None)]
