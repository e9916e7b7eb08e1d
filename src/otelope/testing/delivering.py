"""Scenarios of messages that are handled."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

import otelope

from otelope.core.operation import MAX_LINKS
from otelope.model.envelope import Envelope
from otelope.testing.driver import Driver, Got, nothing, where
from otelope.testing.messages import attributes_of, foreign_id, make
from otelope.testing.scenario import Scenarios, ignore
from otelope.testing.spans import Service, described, links, parent, span_spot


class Unwanted(BaseException):
    """What no handler of exceptions in a library may mistake for its own."""


def received_from(driver: Driver) -> str:
    """What spans of handling say in ``messaging.system``."""
    return driver.features.receiving or driver.features.system


class Delivering(Scenarios):
    """What a library's handing over of messages becomes."""

    def test_handling_is_a_consumer_span_below_its_envelope(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        self.pass_on(driver, channel, ignore, sent)
        (span,) = service.spans("process")
        destination = driver.destination(channel)
        assert described(span) == {
            "name": f"process {destination}",
            "kind": "CONSUMER",
            "status": "UNSET",
            "parent": sent.spot,
            "links": [],
            "attributes": attributes_of(sent, received_from(driver), "process", destination),
        }
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]

    @where(lambda features: features.headers)
    def test_handling_is_recorded_and_its_marked_envelope_is_not_again(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        driver.between = service.forget
        self.pass_on(driver, channel, ignore, sent)
        # Without headers there is no mark, and the store keeps the record of who knows most.
        by = ["sender"] if driver.features.headers else ["sender", "receiver"]
        assert [record.recorded_by for record in service.envelopes()] == by
        (delivery,) = service.deliveries()
        (span,) = service.spans("process")
        assert (delivery.trace_id, delivery.span_id) == span_spot(span)
        assert (delivery.envelope.id, delivery.envelope.type) == (sent.id, sent.type)
        assert (delivery.envelope.text, delivery.envelope.payload) == (None, None)
        assert (delivery.outcome, delivery.error_type) == ("ok", None)
        assert delivery.channel == driver.destination(channel)
        assert sent.timestamp * 1_000_000 <= delivery.started_ns <= delivery.ended_ns

    def test_unmarked_envelope_is_recorded_by_its_receiver_once(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        driver.between = service.forget
        self.pass_on(driver, channel, ignore, sent, bare=True)
        # What was sent through the bridge had been recorded before it lost its mark.
        received = [record for record in service.envelopes() if record.recorded_by == "receiver"]
        assert [record.envelope.id for record in received] == [sent.id]
        # A broker that takes JSON only writes it anew.
        text = received[0].envelope.text
        assert text is not None
        assert json.loads(text) == json.loads(sent.body)
        assert driver.features.json_only or text == sent.body
        assert (received[0].trace_id, received[0].span_id) == sent.spot

    def test_envelope_is_current_while_it_is_handled(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make(note="é")
        seen: list[tuple[Envelope | None, int]] = []

        async def note(_: Got) -> None:
            here = trace.get_current_span().get_span_context()
            seen.append((otelope.current(), here.span_id))

        self.pass_on(driver, channel, note, sent)
        ((envelope, span_id),) = seen
        assert envelope is not None
        assert (envelope.id, envelope.type, envelope.parent_id) == (sent.id, sent.type, None)
        assert envelope.source == ("shop", "1.2")
        assert envelope.payload == {"order": 7, "note": "é"}
        assert span_id == span_spot(service.spans("process")[0]).span_id
        assert otelope.current() is None
        assert not trace.get_current_span().get_span_context().is_valid

    def test_what_is_sent_without_a_parent_is_recorded_with_the_one_inferred(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent, reply = make(), make("OrderPlaced")
        replies = channel + "replies"

        async def answer(_: Got) -> None:
            await driver.send(driver.call(replies, reply.body, {}))

        async def start() -> None:
            await driver.send(driver.call(channel, sent.body, {}))

        self.exchange(driver, start, {channel: answer, replies: ignore}, 2)
        (record,) = [r for r in service.envelopes() if r.envelope.id == reply.id]
        (handling,) = service.spans("process", sent.type)
        assert (record.parent_inferred, record.envelope.parent_id) == (True, sent.id)
        assert record.cause_span_id == span_spot(handling).span_id
        assert (record.parent_type, record.parent_source) == (sent.type, "shop")
        assert record.parent_timestamp == sent.timestamp
        # Its own bytes are what was sent.
        assert record.envelope.text == reply.body

    @where(lambda features: features.raises)
    @pytest.mark.parametrize("error", [ValueError("no such order"), Unwanted("stop")], ids=repr)
    def test_handlers_exception_is_the_hosts(
        self, driver: Driver, service: Service, channel: str, error: BaseException
    ) -> None:
        async def fail(_: Got) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            self.pass_on(driver, channel, fail, make())
        assert caught.value is error
        self.says_error(service, error)
        assert not trace.get_current_span().get_span_context().is_valid

    @where(lambda features: not features.raises)
    def test_handlers_exception_is_the_handlings_error(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        error = ValueError("no such order")

        async def fail(_: Got) -> None:
            raise error

        self.pass_on(driver, channel, fail, make())
        self.says_error(service, error)

    def says_error(self, service: Service, error: BaseException) -> None:
        """Check that the one handling failed with this."""
        (delivery,) = service.deliveries()
        assert delivery.outcome == "error"
        assert delivery.error_type is not None
        assert delivery.error_type.endswith(type(error).__qualname__)
        (span,) = service.spans("process")
        assert span.status.status_code.name == "ERROR"
        assert span.attributes is not None
        assert span.attributes["error.type"] == delivery.error_type
        assert [event.name for event in span.events] == ["exception"]

    @where(lambda f: f.raises and not f.nested and not f.forgets)
    def test_what_failed_and_comes_again_is_handled_twice_and_sent_once(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()

        async def fail(_: Got) -> None:
            raise ValueError("not now")

        with pytest.raises(ValueError, match="not now"):
            self.pass_on(driver, channel, fail, sent)
        self.exchange(driver, nothing, {channel: ignore})
        assert len(service.envelopes()) == len(service.spans("send")) == 1
        assert [parent(span) for span in service.spans("process")] == [sent.spot] * 2
        told = [(d.envelope.id, d.outcome, d.redelivered) for d in service.deliveries()]
        said = (False, True) if driver.features.redelivers else (None, None)
        assert told == [(sent.id, "error", said[0]), (sent.id, "ok", said[1])]

    @where(lambda f: not f.nested and not f.json_only and not f.tasks)
    def test_what_is_broken_arrives_as_it_is_and_is_not_in_the_way(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        broken = sent.body[:-9]
        arrived: list[bytes] = []

        async def note(got: Got) -> None:
            arrived.append(got.body)

        async def start() -> None:
            calls = [driver.call(channel, body, {}) for body in (broken, sent.body)]
            await driver.send(*calls)

        self.exchange(driver, start, {channel: note}, 2)
        assert sorted(arrived) == sorted([broken, sent.body])
        assert arrived[0] == broken or not driver.features.ordered
        assert service.shapes() == [[sent.type, f"  process {sent.type}"]]
        assert [delivery.outcome for delivery in service.deliveries()] == ["ok"]

    @where(lambda features: features.asynchronous and features.raises)
    def test_cancellation_ends_the_handling(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        async def cancelled() -> None:
            begun = asyncio.Event()

            async def hang(_: Got) -> None:
                begun.set()
                await asyncio.Event().wait()

            async def start() -> None:
                await driver.send(driver.call(channel, make().body, {}))

            task = asyncio.create_task(driver.drive({channel: hang}, start, 1))
            await asyncio.wait_for(begun.wait(), 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert otelope.current() is None

        driver.run(cancelled())
        (delivery,) = service.deliveries()
        assert (delivery.outcome, delivery.error_type) == (
            "error",
            "asyncio.exceptions.CancelledError",
        )

    @where(lambda features: features.batch == 1 and features.ordered)
    def test_handlings_of_one_consumer_do_not_overlap(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = [make() for _ in range(3)]
        seen: list[str | None] = []

        async def note(_: Got) -> None:
            current = otelope.current()
            seen.append(current.id if current else None)

        self.pass_on(driver, channel, note, *sent)
        assert seen == [each.id for each in sent]
        handled = service.spans("process")
        assert [parent(span) for span in handled] == [each.spot for each in sent]
        assert all(links(span) == [] for span in handled)
        # Who has an answer may send the next before the handling that gave it has ended.
        if not driver.features.nested:
            ends = [span.end_time or 0 for span in handled]
            starts = [span.start_time or 0 for span in handled[1:]]
            assert all(end <= start for end, start in zip(ends, starts, strict=False))
        assert [record.outcome for record in service.deliveries()] == ["ok"] * 3

    @where(lambda features: features.batch > 1)
    def test_batch_is_one_span_with_a_link_for_each_up_to_the_limit(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = [make() for _ in range(min(driver.features.batch, MAX_LINKS + 2))]
        current: list[Envelope | None] = []

        async def note(_: Got) -> None:
            current.append(otelope.current())

        self.pass_on(driver, channel, note, *sent)
        if not driver.features.ordered:
            place = [record.envelope.id for record in service.deliveries()].index
            sent.sort(key=lambda each: place(each.id))
        spans = service.spans("process")
        parts = [sent[first : first + MAX_LINKS] for first in range(0, len(sent), MAX_LINKS)]
        destination = driver.destination(channel)
        for span, part in zip(spans, parts, strict=True):
            assert described(span) == {
                "name": f"process {destination}",
                "kind": "CONSUMER",
                "status": "UNSET",
                "parent": None,
                "links": [each.spot for each in part],
                "attributes": {
                    "messaging.system": received_from(driver),
                    "messaging.operation.name": "process",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": destination,
                    "messaging.batch.message_count": len(part),
                },
            }
        # A batch does not say which of its envelopes is at hand.
        assert current == [None] * len(sent)
        told = [(record.envelope.id, record.outcome) for record in service.deliveries()]
        assert told == [(each.id, "ok") for each in sent]
        of_last = {record.span_id for record in service.deliveries()[-len(parts[-1]) :]}
        assert of_last == {span_spot(spans[-1]).span_id}

    @where(lambda features: features.headers)
    def test_foreign_id_without_headers_starts_a_trace_that_links_to_its_envelope(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make(make_id=foreign_id)
        driver.between = service.forget
        self.pass_on(driver, channel, ignore, sent, bare=True)
        (span,) = service.spans("process")
        assert parent(span) is None
        assert sent.spot in links(span)
        assert service.orphans() == []

    @where(lambda features: features.in_sender or not features.nested)
    def test_suppressed_is_not_seen(self, driver: Driver, service: Service, channel: str) -> None:
        seen: list[Envelope | None] = []

        async def note(_: Got) -> None:
            seen.append(otelope.current())

        with suppress_instrumentation():
            self.pass_on(driver, channel, note, make())
        assert seen == [None]
        assert (service.spans(), service.records) == ([], [])

    @where(lambda features: features.polled)
    def test_handling_in_a_thread_is_taken_over_from_its_consumer(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        seen: list[Envelope | None] = []

        async def hand_on(got: Got) -> None:
            def work() -> None:
                with otelope.handling(got.native) as envelope:
                    seen.append(envelope)
                    raise ValueError("no such order")

            threading.excepthook, before = lambda _: None, threading.excepthook
            worker = threading.Thread(target=work)
            worker.start()
            worker.join()
            threading.excepthook = before

        self.pass_on(driver, channel, hand_on, sent)
        assert [envelope.id if envelope else None for envelope in seen] == [sent.id]
        told = [(d.envelope.id, d.outcome, d.error_type) for d in service.deliveries()]
        assert told == [(sent.id, "error", "ValueError")]
        handled = [span for span in service.spans("process") if span.attributes]
        assert service.shapes()[0] == [sent.type, f"  process {sent.type}"]
        assert not any(span.end_time is None for span in handled)

    def test_handling_that_begins_after_its_consumer_went_on_is_told_once(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        waiting: list[otelope.handling] = []
        seen: list[Envelope | None] = []

        async def claim(got: Got) -> None:
            waiting.append(otelope.handling(got.native))

        self.pass_on(driver, channel, claim, sent)
        assert service.deliveries() == []

        def work() -> None:
            with waiting.pop() as envelope:
                seen.append(envelope)

        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        assert [envelope.id if envelope else None for envelope in seen] == [sent.id]
        assert [(d.envelope.id, d.outcome) for d in service.deliveries()] == [(sent.id, "ok")]
        assert len(service.spans("process")) == 1
        assert service.orphans() == []
