"""The service that tests look at."""

from __future__ import annotations

import pytest

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
