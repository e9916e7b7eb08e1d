"""
What the contract stands on: a server, a service, which of its tests are measured, and its lanes.

Both lanes give the same trees. What needs no server is tested in both; what does, which takes most
of the time, and everything with ``--brief``, in one of them: alternating by the position of the
test and by that of its parameters, so that every scenario and every driver meets both.
``--lane=fast`` or ``compat`` tests everything in that one.
"""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest

from coverage import Coverage

from otelope.core.settings import Lane
from tests.contract.web import web_server
from tests.contract.wsgi import both_servers, wsgi_server
from tests.service import service


__all__ = ["both_servers", "service", "web_server", "wsgi_server"]


CHAIN = "test_chain_is_one_tree"
LANES = get_args(Lane)
IN_ITS_LANE = pytest.StashKey[bool]()
# What starts a program of its own for a test, or waits for one.
SERVERS = frozenset(
    "aws kafka mock mqtt nats postgresql pubsub pulsar rabbitmq redis servicebus".split()
)


def pytest_addoption(parser):
    parser.addoption(
        "--brief",
        action="store_true",
        help="of a row's styles on a server the first only, and of the others the chain",
    )
    parser.addoption("--lane", choices=LANES, help="test everything in this lane only")


def pytest_generate_tests(metafunc):
    if "service" in metafunc.fixturenames:
        metafunc.parametrize("lane", LANES, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    brief, lane = config.getoption("--brief"), config.getoption("--lane")
    give_lanes(items, lane)
    kept, left_out = [], []
    for item in items:
        in_one = brief or lane or any(mark.name in SERVERS for mark in item.iter_markers())
        stays = (item.stash[IN_ITS_LANE] or not in_one) and (is_brief(item) or not brief)
        (kept if stays else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


def give_lanes(items, lane=None):
    """Note of each whether it is in its lane: the given one, or what its position says."""
    numbers = Counter()
    for item in items:
        own = lane_of(item)
        if own is None:
            item.stash[IN_ITS_LANE] = True
            continue
        test = item.cls or item.module, item.originalname
        names = [name for name in dir(test[0]) if name.startswith("test_")]
        number = numbers[(*test, own)] + names.index(item.originalname)
        numbers[(*test, own)] += 1
        item.stash[IN_ITS_LANE] = own == (lane or LANES[number % len(LANES)])


def lane_of(item):
    """The lane of a test; None for one that has no service."""
    return item.callspec.params.get("lane") if hasattr(item, "callspec") else None


def is_brief(item):
    """Whether it is of a row's first style on a server, or the chain of another one."""
    return item.get_closest_marker("again") is None or item.originalname == CHAIN


@pytest.fixture(autouse=True)
def lane(request, monkeypatch):
    """The lane that a service of this test is in."""
    chosen = getattr(request, "param", LANES[0])
    monkeypatch.setenv("OTELOPE_LANE", chosen)
    return chosen


@pytest.fixture(autouse=True)
def measured(request):
    """
    Of a row's styles on a server the first is measured, of the others the chain; in one lane.

    Measuring takes as long again as the tests themselves: 85 s instead of 42 for one row.
    """
    measuring = Coverage.current()
    if measuring is None or (is_brief(request.node) and request.node.stash[IN_ITS_LANE]):
        yield
        return
    measuring.stop()
    yield
    # 20 ms each time to look for what was imported before, a fifth of the contract's time.
    measuring._warn_preimported_source = False
    measuring.start()
