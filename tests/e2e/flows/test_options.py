"""A flow on real servers, for its database and its broker at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.flows.running import Chosen
from examples.running.servers import Otelope
from tests.e2e.flows import agreement
from tests.e2e.flows.harness import started
from tests.e2e.flows.test_a_ring import PLACED


# The group of `test_c_relays`, whose queue on RabbitMQ has the same name.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow c")]


@pytest.mark.postgresql
@pytest.mark.rabbitmq
def test_flow_a_on_postgresql_and_rabbitmq(
    database: str, rabbitmq_server: str, otelope_up: Otelope, tmp_path: Path
):
    with started("a", tmp_path, otelope_up, Chosen(database, rabbitmq_server)) as flow:
        agreement.check_hasty(flow, PLACED)
        agreement.check_nervous(flow, PLACED)
