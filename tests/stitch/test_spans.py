"""The spans that are made from records that went through a store."""

from __future__ import annotations

from uuid import uuid4

from opentelemetry.trace import SpanKind, StatusCode

from otelope.model import semconv
from otelope.model.identity import identify, new_id, stitched_trace_id
from otelope.stitch import chain_spans, trace_ids_of
from otelope.store import questions
from tests.store.made import EPOCH_MS, delivery_record, envelope_record, keep


SEND, PROCESS, STORE = "send orders.events", "process orders.events", "store orders-db"


def stitched(store, envelope_id):
    return list(chain_spans(questions.tree(store, envelope_id)))


def shape(spans):
    """Service, name, kind and the parent's name, in the order they were made."""
    names = {span.context.span_id: span.name for span in spans}
    return [
        (
            span.resource.attributes[semconv.SERVICE_NAME],
            span.name,
            span.kind.name,
            names[span.parent.span_id] if span.parent else None,
        )
        for span in spans
    ]


def at(ms):
    return (EPOCH_MS * 1000 + round(ms * 1000)) * 1000


def test_a_chain_is_one_tree(store):
    command, event = str(uuid4()), str(uuid4())
    keep(store, envelope_record(command, **{semconv.SEND_LAG_MS: 0.5}), service="shop")
    keep(store, delivery_record(command, span=0xCA, at=10), service="orders")
    keep(store, delivery_record(command, span=0xCB, at=12), service="audit")
    caused = {semconv.CAUSE_SPAN_ID: f"{0xCA:016x}", semconv.SEND_LAG_MS: 1.25}
    keep(store, envelope_record(event, command, at=11, **caused), service="orders")
    keep(
        store,
        delivery_record(event, span=9, at=20, outcome="error", **{semconv.ERROR_TYPE: "Oops"}),
        service="mail",
    )

    spans = stitched(store, event)

    assert shape(spans) == [
        ("shop", SEND, "PRODUCER", None),
        ("orders", PROCESS, "CONSUMER", SEND),
        ("audit", PROCESS, "CONSUMER", SEND),
        ("orders", SEND, "PRODUCER", PROCESS),
        ("mail", PROCESS, "CONSUMER", SEND),
    ]
    root, handled, _, caused, failed = spans
    assert {span.context.trace_id for span in spans} == {stitched_trace_id(command)}
    assert root.context.span_id == identify(command).span_id
    assert caused.parent == handled.context
    assert (root.start_time, root.end_time) == (at(0.5), at(0.501))
    assert (caused.start_time, caused.end_time) == (at(12.25), at(12.251))
    assert (failed.start_time, failed.end_time) == (at(20), at(23.5))
    assert [span.status.status_code for span in spans] == [StatusCode.UNSET] * 4 + [
        StatusCode.ERROR
    ]
    assert dict(failed.attributes) == {
        semconv.ENVELOPE_ID: event,
        semconv.ENVELOPE_TYPE: "OrderPlaced",
        semconv.ENVELOPE_PARENT_ID: command,
        semconv.ENVELOPE_SOURCE_NAME: "orders",
        semconv.ENVELOPE_SOURCE_VERSION: "1.0",
        semconv.ENVELOPE_KIND: "event",
        semconv.STITCHED: True,
        semconv.MESSAGING_OPERATION_NAME: "process",
        semconv.MESSAGING_OPERATION_TYPE: "process",
        semconv.MESSAGING_DESTINATION_NAME: "orders.events",
        semconv.ERROR_TYPE: "Oops",
    }
    assert dict(failed.resource.attributes) == {
        semconv.SERVICE_NAME: "mail",
        semconv.SERVICE_VERSION: "2.1",
    }


def test_each_span_links_to_its_original(store):
    envelope = str(uuid4())
    keep(store, envelope_record(envelope), delivery_record(envelope, span=7))

    links = [[link.context for link in span.links] for span in stitched(store, envelope)]

    who = identify(envelope)
    assert [[(each.trace_id, each.span_id) for each in some] for some in links] == [
        [(who.trace_id, who.span_id)],
        [(who.trace_id, 7)],
    ]
    assert all(each.trace_flags.sampled for some in links for each in some)


def test_the_same_records_make_the_same_spans_and_no_id_twice(store):
    root = new_id()
    children = [new_id(root) for _ in range(20)]
    keep(store, envelope_record(root), *(envelope_record(each, root) for each in children))
    # As of a batch: one span for all.
    keep(store, *(delivery_record(each, span=5) for each in children))

    spans = stitched(store, root)

    assert len({span.context.span_id for span in spans}) == len(spans) == 41
    again = stitched(store, children[3])
    assert [span.to_json() for span in again] == [span.to_json() for span in spans]


def test_what_was_not_caused_by_a_recorded_handling_stands_below_its_parent(store):
    root, relayed, lost = str(uuid4()), str(uuid4()), str(uuid4())
    keep(store, envelope_record(root), delivery_record(root, span=1))
    keep(store, envelope_record(relayed, root, at=1))
    keep(store, envelope_record(lost, root, at=2, **{semconv.CAUSE_SPAN_ID: f"{77:016x}"}))

    assert [parent for *_, parent in shape(stitched(store, root))] == [None, SEND, SEND, SEND]


def test_a_root_that_nobody_recorded_has_a_span_all_the_same(store):
    lost = str(uuid4())
    children = [str(uuid4()), str(uuid4())]
    keep(store, *(envelope_record(each, lost, at=n) for n, each in enumerate(children, 5)))

    spans = stitched(store, children[1])

    assert shape(spans) == [
        ("otelope", "not recorded", "PRODUCER", None),
        ("payments", SEND, "PRODUCER", "not recorded"),
        ("payments", SEND, "PRODUCER", "not recorded"),
    ]
    assert spans[0].start_time == at(5)
    assert spans[0].links == ()
    assert dict(spans[0].attributes) == {semconv.ENVELOPE_ID: lost, semconv.STITCHED: True}


def test_what_only_its_receiver_told_of_was_made_by_its_source(store):
    envelope = str(uuid4())
    keep(store, envelope_record(envelope, source="browser", recorded_by="receiver"))
    keep(store, delivery_record(envelope, at=4))

    assert shape(stitched(store, envelope)) == [
        ("browser", "create orders.events", "PRODUCER", None),
        ("payments", PROCESS, "CONSUMER", "create orders.events"),
    ]


def test_transactions_stand_beside_the_envelope_and_further_sendings_below_it(store):
    root, event = str(uuid4()), str(uuid4())
    stored = {semconv.ENVELOPE_CHANNEL: "orders-db", semconv.DELIVERY_OPERATION: "store"}
    keep(store, envelope_record(root), delivery_record(root, span=1))
    caused = {semconv.CAUSE_SPAN_ID: f"{1:016x}"}
    keep(store, envelope_record(event, root, at=9, **caused))
    keep(store, delivery_record(event, span=2, at=8, **stored))
    keep(store, delivery_record(event, span=3, at=30, **{semconv.DELIVERY_OPERATION: "send"}))

    assert shape(stitched(store, root))[2:] == [
        ("payments", SEND, "PRODUCER", PROCESS),
        ("payments", STORE, "INTERNAL", PROCESS),
        ("payments", SEND, "PRODUCER", SEND),
    ]


def test_an_envelope_whose_own_span_was_a_transaction_is_that(store):
    envelope = str(uuid4())
    stored = {semconv.ENVELOPE_CHANNEL: "orders-db", semconv.DELIVERY_OPERATION: "store"}
    keep(store, envelope_record(envelope, recorded_by="maker"))
    keep(store, delivery_record(envelope, span=identify(envelope).span_id, **stored))

    (span,) = stitched(store, envelope)

    assert (span.name, span.kind) == (STORE, SpanKind.INTERNAL)
    assert span.end_time - span.start_time == 3_500_000
    assert span.attributes[semconv.STORE_NAME] == "orders-db"


def test_the_traces_of_a_tree_are_those_of_its_envelopes_and_their_handlings(store):
    root, child = str(uuid4()), str(uuid4())
    keep(store, envelope_record(root, trace_id=1), envelope_record(child, root, trace_id=2))
    keep(store, delivery_record(child))

    assert trace_ids_of(questions.tree(store, root)) == {
        f"{1:032x}",
        f"{2:032x}",
        f"{identify(child).trace_id:032x}",
    }
