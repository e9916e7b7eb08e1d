"""Scenarios of one message that is sent."""

from __future__ import annotations

import re

from collections.abc import Iterator

import pytest

from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import TraceFlags

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.model.identity import new_id
from otelope.testing.driver import Driver, Got, where
from otelope.testing.messages import attributes_of, foreign_id, make
from otelope.testing.scenario import Scenarios, ignore
from otelope.testing.spans import Service, described, links, parent, span_spot


# The other flag, that the trace id is random, is the SDK's to set (since 1.42).
SAMPLED = TraceFlags.SAMPLED


class Sending(Scenarios):
    """What a library's sending of a message becomes."""

    def test_send_is_one_producer_span_with_exactly_the_envelopes_ids(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        self.emit(driver, channel, sent)
        (span,) = service.spans("send")
        destination = driver.destination(channel)
        assert described(span) == {
            "name": f"send {destination}",
            "kind": "PRODUCER",
            "status": "UNSET",
            "parent": None,
            "links": [],
            "attributes": attributes_of(sent, driver.features.system, "send", destination),
        }
        assert span_spot(span) == sent.spot

    def test_send_is_recorded_once_with_the_whole_envelope(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        self.emit(driver, channel, sent)
        (record,) = service.envelopes()
        assert record.envelope.text == sent.body
        assert (record.envelope.id, record.envelope.type) == (sent.id, sent.type)
        assert (record.trace_id, record.span_id) == sent.spot
        assert (record.trace_flags & SAMPLED, record.recorded_by) == (SAMPLED, "sender")
        assert record.channel == driver.destination(channel)
        assert (record.parent_inferred, record.cause_span_id) == (False, 0)

    def test_parent_of_the_same_lineage_is_the_spans_parent(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        cause = make()
        sent = make("OrderPlaced", cause.id)
        self.emit(driver, channel, sent)
        (span,) = service.spans("send")
        assert (parent(span), links(span)) == (cause.spot, [])
        assert span.parent is not None
        assert span.parent.is_remote

    @pytest.mark.parametrize("cause_id", [new_id(), foreign_id(None)], ids=["otelope", "foreign"])
    def test_parent_of_another_lineage_is_linked(
        self, driver: Driver, service: Service, channel: str, cause_id: str
    ) -> None:
        cause = make(make_id=lambda _: cause_id)
        sent = make("OrderPlaced", cause.id, lambda _: new_id())
        self.emit(driver, channel, sent)
        (span,) = service.spans("send")
        assert (parent(span), links(span)) == (None, [cause.spot])
        assert span_spot(span) == sent.spot

    def test_current_span_of_another_trace_is_linked_both_ways(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        with service.provider.get_tracer("app").start_as_current_span("around") as around:
            self.emit(driver, channel, sent)
        (span,) = service.spans("send")
        assert parent(span) is None
        assert links(span) == [span_spot(around)]
        assert sent.spot in links(around)

    def test_id_of_the_current_trace_makes_a_child_of_its_span(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        import otelope  # noqa: PLC0415 - the package that this one is part of

        with service.provider.get_tracer("app").start_as_current_span("request") as request:
            sent = make(make_id=lambda _: otelope.new_id())
            self.emit(driver, channel, sent)
        (span,) = service.spans("send")
        assert parent(span) == span_spot(request)
        assert (span_spot(span), links(span)) == (sent.spot, [])

    @where(lambda features: features.headers)
    def test_foreign_id_joins_the_current_trace(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make(make_id=foreign_id)
        with service.provider.get_tracer("app").start_as_current_span("request") as request:
            self.emit(driver, channel, sent)
        (span,) = service.spans("send")
        assert parent(span) == span_spot(request)
        assert span_spot(span).span_id == sent.spot.span_id

    @where(lambda features: not features.headers)
    def test_foreign_id_that_no_header_carries_starts_a_trace_that_is_linked_both_ways(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make(make_id=foreign_id)
        with service.provider.get_tracer("app").start_as_current_span("request") as request:
            self.emit(driver, channel, sent)
        (span,) = service.spans("send")
        assert (parent(span), span_spot(span)) == (None, sent.spot)
        assert links(span) == [span_spot(request)]
        assert sent.spot in links(request)

    def test_second_send_of_an_envelope_hangs_below_the_first(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        self.emit(driver, channel, sent, sent)
        first, second = service.spans("send")
        assert span_spot(first) == sent.spot == parent(second)
        assert span_spot(second) != sent.spot
        assert len(service.envelopes()) == 1

    @where(lambda features: not features.tasks)
    def test_not_an_envelope_arrives_as_it_was_sent(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        arrived: list[Got] = []

        async def note(got: Got) -> None:
            arrived.append(got)

        body = b'{"order": 7}'

        async def start() -> None:
            await driver.send(driver.call(channel, body, {"x-app": "1"}))

        self.exchange(driver, start, {channel: note})
        assert [got.body for got in arrived] == [body]
        if driver.features.headers:
            assert arrived[0].headers["x-app"] == "1"
        assert not {"traceparent", "tracestate"} & set(arrived[0].headers)
        assert (service.spans(), service.records) == ([], [])

    @where(lambda features: features.headers)
    def test_headers_arrive_beside_the_applications_own(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()
        arrived: list[Got] = []

        async def note(got: Got) -> None:
            arrived.append(got)

        async def start() -> None:
            await driver.send(driver.call(channel, sent.body, {"x-app": "1"}))

        self.exchange(driver, start, {channel: note})
        headers = arrived[0].headers
        assert arrived[0].body == sent.body
        assert headers["x-app"] == "1"
        ids = f"00-{sent.spot.trace_id:032x}-{sent.spot.span_id:016x}-"
        assert headers["traceparent"].startswith(ids)
        assert int(headers["traceparent"].removeprefix(ids), 16) & SAMPLED
        assert headers["tracestate"] == f"otelope={sent.spot.span_id:016x}"
        assert len(service.spans("send")) == 1

    def test_callers_objects_are_unchanged(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        call = driver.call(channel, make().body, {"x-app": "1", "traceparent": "theirs"})
        before = plain(call)

        async def start() -> None:
            await driver.send(call)

        self.exchange(driver, start, {channel: ignore}, 0)
        assert len(service.spans("send")) == 1
        assert plain(call) == before

    def test_arguments_by_position_are_arguments_by_name(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        by_name, by_position = make(), make()
        self.emit(driver, channel, by_name)
        self.emit(driver, channel, by_position, positional=True)
        first, second = service.spans("send")
        destination = driver.destination(channel)
        assert [span.name for span in (first, second)] == [f"send {destination}"] * 2
        for span, sent in ((first, by_name), (second, by_position)):
            expected = attributes_of(sent, driver.features.system, "send", destination)
            assert dict(span.attributes or {}) == expected

    def test_librarys_exception_is_the_hosts_and_the_span_says_error(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        sent = make()

        def error_of() -> BaseException:
            with pytest.raises(Exception) as caught:  # noqa: PT011 - the library's own, compared
                driver.run(driver.send_in_vain(driver.call(channel, sent.body, {})))
            return caught.value

        with suppress_instrumentation():
            plainly = error_of()
        assert service.spans() == []
        error = error_of()
        assert (type(error), _said(error)) == (type(plainly), _said(plainly))
        (span,) = service.spans("send")
        assert described(span)["status"] == "ERROR"
        assert span.attributes is not None
        assert span.attributes["error.type"] in [_named(each) for each in _arisen(error)]
        assert not trace.get_current_span().get_span_context().is_valid

    def test_our_own_failure_never_reaches_the_host(
        self,
        driver: Driver,
        service: Service,
        channel: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(guard, "strict", False)
        active = instrumentor.active()
        assert active is not None

        def broken(*_: object, **__: object) -> None:
            raise ValueError("an instrumenter with a fault")

        for begin in ("send", "ahead", "deliver"):
            monkeypatch.setattr(active.parts.instrumenter, begin, broken)
        arrived: list[bytes] = []

        async def note(got: Got) -> None:
            arrived.append(got.body)

        swallowed = guard.total
        sent = make()
        self.pass_on(driver, channel, note, sent)
        assert arrived == [sent.body]
        # Where it is sent, and in each layer that it passes where it is received.
        assert guard.total >= swallowed + 2
        assert service.spans() == []

    def test_suppressed_is_not_seen(self, driver: Driver, service: Service, channel: str) -> None:
        with suppress_instrumentation():
            self.emit(driver, channel, make())
        assert service.spans("send") == []
        assert all(record.recorded_by == "receiver" for record in service.envelopes())

    def test_unsampled_is_recorded_without_a_span(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        instrumentor.uninstrument()
        unsampled = Service(ALWAYS_OFF)
        assert service.records == []
        unsampled.instrument()
        sent = make()
        arrived: list[Got] = []

        async def note(got: Got) -> None:
            arrived.append(got)

        self.pass_on(driver, channel, note, sent)
        assert unsampled.all_spans() == ()
        (record,) = unsampled.envelopes()
        assert (record.trace_id, record.span_id) == sent.spot
        assert (record.trace_flags & SAMPLED, record.recorded_by) == (0, "sender")
        assert record.envelope.text == sent.body
        (delivery,) = unsampled.deliveries()
        assert (delivery.envelope.id, delivery.outcome) == (sent.id, "ok")
        assert delivery.trace_flags & SAMPLED == 0
        if driver.features.headers:
            flags = arrived[0].headers["traceparent"].rpartition("-")[2]
            assert int(flags, 16) & SAMPLED == 0

    def test_current_context_is_as_before(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        with service.provider.get_tracer("app").start_as_current_span("around") as around:
            self.emit(driver, channel, make(), make(make_id=foreign_id))
            assert trace.get_current_span() is around


def plain(value: object) -> object:
    """An object as nested tuples of plain data, for comparing it before and after."""
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    if isinstance(value, dict):
        return tuple((plain(key), plain(each)) for key, each in value.items())
    if isinstance(value, list | tuple):
        return tuple(plain(each) for each in value)
    # What has slots has an empty `__dict__` of a base class.
    return type(value).__name__, plain(getattr(value, "__dict__", None) or repr(value))


def _arisen(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it arose from: a client may stand on the one that is seen."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _named(error: BaseException) -> str:
    kind = type(error)
    builtin = kind.__module__ == "builtins"
    return kind.__qualname__ if builtin else f"{kind.__module__}.{kind.__qualname__}"


def _said(error: BaseException) -> str:
    """An exception's text without the addresses of objects."""
    return re.sub(r"0x[0-9a-f]+", "0x", str(error))
