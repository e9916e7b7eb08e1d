"""Functions that a library makes: what is handled within them, and when that begins."""

from __future__ import annotations

import sys
import types

import pytest

from opentelemetry.trace import SpanKind

import otelope

from otelope import instrumentor
from otelope.core.adapter import Adapter
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites.made import Make, Opened
from otelope.testing.messages import foreign_id, make
from otelope.testing.spans import parent, span_spot


MODULE = "post_office"
THEIRS = "instrumentation_of_others"


def make_clerk(handler, at_once=False, opened=None):
    def serve(letter):
        library.opened(opened)
        return handler(letter)

    return serve


library = types.ModuleType(MODULE)


class Theirs:
    """OpenTelemetry's own instrumentor, as far as it is asked."""

    _instance = None
    is_instrumented_by_opentelemetry = True


@pytest.fixture
def office(monkeypatch, service):
    library.make_clerk = make_clerk
    library.opened = lambda opened: opened and opened()
    library.pass_on = lambda clerk: clerk
    theirs = types.ModuleType(THEIRS)
    theirs.Theirs = Theirs
    monkeypatch.setitem(sys.modules, MODULE, library)
    monkeypatch.setitem(sys.modules, THEIRS, theirs)
    adapter = Adapter(
        "post",
        MAPPING,
        (
            Make(
                f"{MODULE}:make_clerk",
                lambda making, call: (
                    Message("counter", call["letter"], alias="a letter")
                    if making["handler"] is not None
                    else None
                ),
                lambda answer: answer if isinstance(answer, Exception) else None,
                lambda making: bool(making["at_once"]),
            ),
            Make(f"{MODULE}:pass_on", lambda *_: Message(None, None)),
            Opened(f"{MODULE}:opened"),
        ),
        contrib=f"{THEIRS}:Theirs",
    )
    instrumentor.uninstrument()
    service.instrument()
    assert instrumentor.active().parts.put(adapter) == []
    yield library
    instrumentor.uninstrument()


def test_what_is_handled_within_it_is_current_and_told(office, service):
    sent = make()
    seen = []
    clerk = office.make_clerk(lambda _: seen.append(otelope.current().id) or "served")
    assert clerk(sent.body) == "served"
    assert seen == [sent.id]
    assert otelope.current() is None
    assert [delivery.outcome for delivery in service.deliveries()] == ["ok"]


def test_answer_that_is_a_failure_is_the_hosts_and_the_handlings_error(office, service):
    error = ValueError("no such order")
    clerk = office.make_clerk(lambda _: error)
    assert clerk(letter=make().body) is error
    assert [delivery.error_type for delivery in service.deliveries()] == ["ValueError"]


def test_what_it_raises_is_the_hosts_and_the_handlings_error(office, service):
    error = KeyboardInterrupt()

    def fail(_):
        raise error

    with pytest.raises(KeyboardInterrupt) as caught:
        office.make_clerk(fail)(make().body)
    assert caught.value is error
    assert [delivery.error_type for delivery in service.deliveries()] == ["KeyboardInterrupt"]


def test_what_is_no_envelope_is_nothing_to_it(office, service):
    assert office.make_clerk(lambda letter: letter)(b"{}") == b"{}"
    assert (service.spans(), service.records) == ([], [])


def test_function_that_was_made_already_handles_once(office, service):
    clerk = office.make_clerk(lambda _: "served")
    assert office.pass_on(clerk) is clerk
    clerk(make().body)
    assert len(service.deliveries()) == 1


def test_what_runs_at_once_is_sent_too(office, service):
    sent = make()
    office.make_clerk(lambda _: "served", at_once=True)(sent.body)
    assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]
    assert [record.envelope.id for record in service.envelopes()] == [sent.id]


def test_handling_stands_within_the_span_of_another_instrumentation(office, service, monkeypatch):
    monkeypatch.setattr(Theirs, "_instance", Theirs())
    theirs = service.provider.get_tracer("theirs")
    sent = make(make_id=foreign_id)
    seen = []

    def opened():
        # As theirs do: from one call into the next.
        opened.span = theirs.start_as_current_span("run", kind=SpanKind.CONSUMER)
        opened.context = opened.span.__enter__()

    def serve(_):
        seen.append(otelope.current().id)

    clerk = office.make_clerk(serve, opened=opened)
    clerk(sent.body)
    opened.span.__exit__(None, None, None)
    (handling,) = service.spans("process")
    assert seen == [sent.id]
    assert (handling.kind.name, parent(handling)) == ("INTERNAL", span_spot(opened.context))


def test_parent_that_is_named_by_the_alias_is_what_is_handled(office, service):
    sent = make()
    caused = make("OrderPlaced", "a letter")
    other = make("OrderPlaced", "another letter")
    inner = office.make_clerk(lambda _: None, at_once=True)

    def serve(_):
        inner(caused.body)
        inner(other.body)

    office.make_clerk(serve)(sent.body)
    parents = {r.envelope.id: r.envelope.parent_id for r in service.envelopes()}
    assert parents[caused.id] == sent.id
    assert parents[other.id] == "another letter"
