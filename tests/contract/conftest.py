"""What the contract stands on: a server, a service, and which of its tests are measured."""

from __future__ import annotations

import pytest

from coverage import Coverage

from tests.contract.web import web_server
from tests.service import service


__all__ = ["service", "web_server"]


@pytest.fixture(autouse=True)
def measured(request):
    """
    Of a row's styles the first is measured, of the others the chain.

    Measuring takes as long again as the tests themselves: 85 s instead of 42 for one row.
    """
    measuring = Coverage.current()
    again = request.node.get_closest_marker("again") is not None
    if measuring is None or not again or request.function.__name__ == "test_chain_is_one_tree":
        yield
        return
    measuring.stop()
    yield
    measuring.start()
