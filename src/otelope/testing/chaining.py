"""Scenarios of a whole chain: command -> event -> command -> event."""

from __future__ import annotations

from itertools import pairwise

import pytest

from otelope import instrumentor
from otelope.model.identity import new_id
from otelope.testing.driver import Driver, Got, Handler, where
from otelope.testing.messages import CHAIN, MakeId, Sent, follow, foreign_id, make
from otelope.testing.scenario import Scenarios, ignore
from otelope.testing.spans import Service, links, parent, span_spot


TREE = [
    "PlaceOrder",
    "  process PlaceOrder",
    "    OrderPlaced",
    "      process OrderPlaced",
    "        ShipOrder",
    "          process ShipOrder",
    "            OrderShipped",
    "              process OrderShipped",
]


class Chaining(Scenarios):
    """What a chain of four messages through four channels becomes."""

    def chain(
        self, driver: Driver, channel: str, make_id: MakeId = new_id, *, bare: bool = False
    ) -> list[Sent]:
        """Run the chain; return its envelopes in order."""
        first = make(make_id=make_id)
        sent = [first]

        async def send(each: Sent) -> None:
            to = f"{channel}{CHAIN.index(each.type) * 'x'}"
            if bare:
                await driver.send_bare(to, each.body)
            else:
                await driver.send(driver.call(to, each.body, {}))

        async def serve(got: Got) -> None:
            following = follow(got.body, make_id)
            if following is not None:
                sent.append(following)
                await send(following)

        async def start() -> None:
            await send(first)

        handlers: dict[str, Handler] = {
            f"{channel}{place * 'x'}": serve for place in range(len(CHAIN))
        }
        self.exchange(driver, start, handlers, len(CHAIN))
        return sent

    @pytest.mark.parametrize("apart", [False, True], ids=["one process", "apart"])
    @pytest.mark.parametrize("bare", [False, True], ids=["headers", "stripped"])
    def test_chain_is_one_tree(
        self, driver: Driver, service: Service, channel: str, *, bare: bool, apart: bool
    ) -> None:
        if apart:
            driver.between = service.forget
        sent = self.chain(driver, channel, bare=bare)
        assert service.shapes() == [TREE]
        assert {span_spot(span).trace_id for span in service.spans()} == {sent[0].spot.trace_id}
        for each in sent:
            (span,) = service.spans("send", each.type)
            assert span_spot(span) == each.spot
            assert links(span) == []
        assert [r.envelope.id for r in service.envelopes() if r.recorded_by == "sender"] == [
            e.id for e in sent
        ]
        assert {d.envelope.id for d in service.deliveries()} == {each.id for each in sent}

    @where(lambda features: features.headers)
    def test_chain_of_foreign_ids_with_headers_is_one_tree(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        driver.between = service.forget
        sent = self.chain(driver, channel, foreign_id)
        assert service.shapes() == [TREE]
        assert {span_spot(span).trace_id for span in service.spans()} == {sent[0].spot.trace_id}
        for each in sent:
            (span,) = service.spans("send", each.type)
            assert span_spot(span).span_id == each.spot.span_id

    @where(lambda features: features.headers)
    def test_chain_of_foreign_ids_stripped_of_headers_has_a_link_per_cut_and_no_orphan(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        driver.between = service.forget
        sent = self.chain(driver, channel, foreign_id, bare=True)
        assert service.orphans() == []
        handled = service.spans("process")
        assert [parent(span) for span in handled] == [None] * len(CHAIN)
        # The sender's span is also there to be linked where it is current in the same task.
        own = [
            [spot for spot in links(span) if spot in {e.spot for e in sent}] for span in handled
        ]
        assert own == [[each.spot] for each in sent]
        if not driver.features.in_sender:
            assert [links(span) for span in handled] == own
        for before, after in pairwise(sent):
            (handling,) = service.spans("process", before.type)
            (span,) = service.spans("send", after.type)
            assert parent(span) == span_spot(handling)

    @where(lambda features: not features.headers)
    def test_chain_of_foreign_ids_that_have_no_headers_has_a_trace_for_each(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        driver.between = service.forget
        sent = self.chain(driver, channel, foreign_id)
        assert service.orphans() == []
        for each in sent:
            (span,) = service.spans("send", each.type)
            (handling,) = service.spans("process", each.type)
            assert span_spot(span) == each.spot
            assert parent(handling) == each.spot or each.spot in links(handling)
        for before, after in pairwise(sent):
            (handling,) = service.spans("process", before.type)
            (span,) = service.spans("send", after.type)
            assert span_spot(handling) in links(span)
            assert set(links(span)) <= {before.spot, span_spot(handling)}
            assert after.spot in links(handling)

    def test_relay_that_publishes_later_is_in_the_same_tree(
        self, driver: Driver, service: Service, channel: str
    ) -> None:
        stored: list[Sent] = []

        async def store(got: Got) -> None:
            following = follow(got.body)
            assert following is not None
            stored.append(following)

        first = make()
        self.pass_on(driver, channel, store, first)
        service.forget()
        self.pass_on(driver, f"{channel}later", ignore, *stored)
        assert service.shapes() == [
            ["PlaceOrder", "  process PlaceOrder", "  OrderPlaced", "    process OrderPlaced"]
        ]
        (relayed,) = service.spans("send", "OrderPlaced")
        assert (parent(relayed), span_spot(relayed)) == (first.spot, stored[0].spot)
        assert service.orphans() == []

    def test_chain_of_links_has_a_trace_for_each_envelope(
        self,
        driver: Driver,
        service: Service,
        channel: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.restart(service, monkeypatch, "links")
        driver.between = service.forget
        sent = self.chain(driver, channel)
        assert service.shapes() == [[name, f"  process {name}"] for name in CHAIN]
        assert len({span_spot(span).trace_id for span in service.spans()}) == len(CHAIN)
        for before, after in pairwise(sent):
            (cause,) = service.spans("send", before.type)
            (handling,) = service.spans("process", before.type)
            (span,) = service.spans("send", after.type)
            assert links(span) == [span_spot(cause), span_spot(handling)]
            assert span_spot(span) in links(handling)
        assert service.orphans() == []

    @where(lambda features: features.headers)
    def test_chain_that_joins_is_in_the_trace_around_it(
        self,
        driver: Driver,
        service: Service,
        channel: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.restart(service, monkeypatch, "join")
        driver.between = service.forget
        with service.provider.get_tracer("mesh").start_as_current_span("request") as request:
            sent = self.chain(driver, channel)
        assert service.shapes() == [TREE]
        assert {span_spot(span).trace_id for span in service.spans()} == {
            span_spot(request).trace_id
        }
        spans = [span_spot(service.spans("send", each.type)[0]).span_id for each in sent]
        assert spans == [each.spot.span_id for each in sent]

    def restart(self, service: Service, monkeypatch: pytest.MonkeyPatch, traces: str) -> None:
        """Instrument anew with another ``OTELOPE_TRACES``."""
        instrumentor.uninstrument()
        monkeypatch.setenv("OTELOPE_TRACES", traces)
        service.instrument()
