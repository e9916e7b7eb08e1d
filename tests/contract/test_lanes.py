"""That the contract is passed in both lanes."""

from __future__ import annotations

from collections import defaultdict

import pytest

from otelope import instrumentor
from otelope.core.adapter import Adapter
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.spans import OwnSpan
from otelope.testing import Contract
from otelope.testing.messages import make
from tests.contract import test_rows
from tests.contract.conftest import LANES, lane_of


def test_every_scenario_and_every_driver_meets_both_lanes(request):
    scenarios, drivers = defaultdict(set), defaultdict(set)
    for item in request.session.items:
        if item.cls is not None and item.cls.__name__ == "TestRows":
            scenarios[item.originalname].add(lane_of(item))
            drivers[item.callspec.params["driver"]].add(lane_of(item))
    # A mock stands for its server, and is left out where that is there.
    rows = {case.make for case in test_rows.TestRows.cases if pytest.mark.mock not in case.marks}
    asked = request.config.getoption
    if not rows <= set(drivers) or asked("--lane") or asked("--brief"):
        pytest.skip("not applicable: only a part of the contract is run")
    contract = {name for name in dir(Contract) if name.startswith("test_")}
    assert {name for name in contract if len(scenarios[name]) < len(LANES)} == set()
    assert {name for name, met in drivers.items() if len(met) < len(LANES)} == set()


def test_lane_is_the_one_that_it_says(service, lane):
    library = Adapter(system="kafka", carrier=MAPPING, sites=())
    with instrumentor.active().parts.instrumenter.send(Message("orders", make().body), library):
        pass
    (span,) = service.spans("send")
    assert isinstance(span, OwnSpan) == (lane == "fast")
