"""Batches that are filled first and sent later: told when they go, and only then."""

from __future__ import annotations

import gc

import letters
import pytest

from opentelemetry import trace

from otelope.testing.messages import make
from otelope.testing.spans import parent, span_spot


@pytest.fixture
def quiet(client, service):
    """A client whose own `send` no site is at, as of a library that sends batches at once."""
    client.send = lambda *call: client.calls.append(call) if not client.failure else fail(client)
    return client


def fail(client):
    raise client.failure


def told(service):
    return [(record.envelope.id, record.channel) for record in service.envelopes()]


def sent(service):
    return [(each.envelope.id, each.channel, each.outcome) for each in service.done()]


def test_each_message_is_told_when_the_batch_is_sent(quiet, service):
    first, second, parcel = make(), make("OrderPlaced"), letters.Parcel()
    assert parcel.add(first.body)
    assert parcel.add(second.body, {"x": "1"})
    assert not trace.get_current_span().get_span_context().is_valid
    assert (service.spans(), service.records) == ([], [])
    quiet.send_parcel("orders", parcel)
    assert [span.name for span in service.spans()] == ["send orders"] * 2
    assert [span_spot(span) for span in service.spans("send")] == [first.spot, second.spot]
    assert told(service) == [(first.id, "orders"), (second.id, "orders")]
    assert [list(headers) for _, _, headers in quiet.calls] == [
        ["traceparent", "tracestate"],
        ["x", "traceparent", "tracestate"],
    ]


def test_what_has_no_room_was_never_sent(quiet, service):
    parcel, late = letters.Parcel(), make()
    for each in (make(), make()):
        assert parcel.add(each.body)
    assert not parcel.add(late.body)
    quiet.send_parcel("orders", parcel)
    assert late.id not in dict(told(service))
    parcel = letters.Parcel()
    assert parcel.add(late.body)
    quiet.send_parcel("late", parcel)
    assert told(service)[2:] == [(late.id, "late")]
    assert service.spans()[-1].name == "send late"
    assert span_spot(service.spans()[-1]) == late.spot


def test_what_is_thrown_away_was_never_sent(quiet, service):
    parcel = letters.Parcel()
    assert parcel.add(make().body)
    del parcel
    gc.collect()
    assert (service.spans(), service.records) == ([], [])


def test_what_could_not_be_sent_is_told_so_until_it_is(quiet, service):
    kept, parcel = make(), letters.Parcel()
    parcel.add(kept.body)
    quiet.failure = OSError("no route")
    with pytest.raises(OSError, match="no route") as caught:
        quiet.send_parcel("orders", parcel)
    assert caught.value is quiet.failure
    assert sent(service) == [(kept.id, "orders", "error")]
    (span,) = service.spans("send")
    assert span.status.status_code.name == "ERROR"
    quiet.failure = None
    quiet.send_parcel("orders", parcel)
    assert sent(service)[1:] == [(kept.id, "orders", "ok")]
    assert told(service) == [(kept.id, "orders")]


def test_in_two_batches_it_is_one_envelope_on_two_channels(quiet, service):
    both, parcels = make(), [letters.Parcel(), letters.Parcel()]
    for parcel in parcels:
        parcel.add(both.body)
    quiet.send_parcel("second", parcels[1])
    quiet.send_parcel("first", parcels[0])
    assert told(service) == [(both.id, "second")]
    first, second = service.spans("send")
    assert span_spot(first) == both.spot == parent(second)
    assert {first.name, second.name} == {"send first", "send second"}


def test_what_is_no_envelope_reaches_the_library_as_the_very_objects(quiet, service):
    body, headers, parcel = b"{}", {"a": "1"}, letters.Parcel()
    parcel.add(body, headers)
    quiet.send_parcel("orders", parcel)
    assert quiet.calls == [("orders", body, headers)]
    assert quiet.calls[0][2] is headers
    assert service.records == []
