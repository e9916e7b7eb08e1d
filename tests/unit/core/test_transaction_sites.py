"""Transactions of a producer: what was sent in one that is aborted is told so."""

from __future__ import annotations

import asyncio

import letters
import pytest

from otelope.core import sent as module
from otelope.testing.messages import make


def aborted(service):
    return [each.envelope.id for each in service.done() if each.error_type == "aborted"]


def abort(client):
    asyncio.run(client.abort_transaction())


def test_only_what_was_sent_in_the_aborted_one_is_told_so(client, service):
    before, kept, lost, after = make(), make(), make(), make()
    client.send("orders", before.body)
    client.begin_transaction()
    client.send("orders", kept.body)
    client.commit_transaction()
    client.begin_transaction()
    client.send("orders", lost.body)
    assert aborted(service) == []
    abort(client)
    client.send("orders", after.body)
    abort(client)
    assert aborted(service) == [lost.id]
    assert [each.operation for each in service.done()] == ["send"]


def test_what_could_not_be_committed_can_still_be_aborted(client, service):
    lost = make()
    client.begin_transaction()
    client.send("orders", lost.body)
    client.failure = OSError("fenced")
    with pytest.raises(OSError, match="fenced") as caught:
        client.commit_transaction()
    assert caught.value is client.failure
    abort(client)
    assert aborted(service) == [lost.id]


def test_a_batch_is_part_of_the_transaction_that_sends_it(client, service):
    lost, parcel = make(), letters.Parcel()
    parcel.add(lost.body)
    client.begin_transaction()
    client.send_parcel("orders", parcel)
    abort(client)
    assert aborted(service) == [lost.id]


def test_producers_do_not_mix(patches, service):
    one, other, kept = letters.Client(), letters.Client(), make()
    one.begin_transaction()
    other.begin_transaction()
    one.send("orders", kept.body)
    abort(other)
    one.commit_transaction()
    assert aborted(service) == []


def test_more_than_are_noted_is_said(monkeypatch, client, service, caplog):
    monkeypatch.setattr(module, "MOST", 2)
    sent = [make() for _ in range(3)]
    client.begin_transaction()
    for each in sent:
        client.send("orders", each.body)
    abort(client)
    assert aborted(service) == [each.id for each in sent[1:]]
    assert "otelope tells of 1 messages as sent" in caplog.text
