"""The service that tests look at."""

from __future__ import annotations

import pytest

import otelope

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.core.operation import ambient_delivery
from otelope.testing.spans import Service


@pytest.fixture
def service(monkeypatch):
    """A service in this process, instrumented; a defect of ours fails the test."""
    monkeypatch.setattr(guard, "strict", True)
    instrumentor.uninstrument()
    service = Service()
    service.instrument()
    yield service
    instrumentor.uninstrument()
    assert ambient_delivery() is None


def told(service):
    """Of each handling, of what it was and how it ended."""
    return [(each.envelope.id, each.outcome, each.error_type) for each in service.deliveries()]


def attempts(service):
    """Of each handling, which attempt it was and whether the broker said so."""
    return [(each.attempt, each.redelivered) for each in service.deliveries()]


def failed(service):
    """Of all that was done with envelopes, what failed and why."""
    return [(each.envelope.id, each.error_type) for each in service.done() if each.error_type]


def current():
    """The id of what is handled here; None for nothing."""
    envelope = otelope.current()
    return envelope.id if envelope else None
