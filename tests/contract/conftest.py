"""What the contract stands on: a server, a service, and which of its tests are measured."""

from __future__ import annotations

import pytest

from coverage import Coverage

from tests.contract.web import web_server
from tests.contract.wsgi import both_servers, wsgi_server
from tests.service import service


__all__ = ["both_servers", "service", "web_server", "wsgi_server"]


CHAIN = "test_chain_is_one_tree"


def pytest_addoption(parser):
    parser.addoption(
        "--brief",
        action="store_true",
        help="of a row's styles on a server the first only, and of the others the chain",
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--brief"):
        kept, left_out = [], []
        for item in items:
            (kept if is_measured(item) else left_out).append(item)
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def is_measured(item):
    """Whether it is of a row's first style on a server, or the chain of another one."""
    return item.get_closest_marker("again") is None or item.originalname == CHAIN


@pytest.fixture(autouse=True)
def measured(request):
    """
    Of a row's styles on a server the first is measured, of the others the chain.

    Measuring takes as long again as the tests themselves: 85 s instead of 42 for one row.
    """
    measuring = Coverage.current()
    if measuring is None or is_measured(request.node):
        yield
        return
    measuring.stop()
    yield
    # 20 ms each time to look for what was imported before, a fifth of the contract's time.
    measuring._warn_preimported_source = False
    measuring.start()
