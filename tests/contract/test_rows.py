"""Every row of the table passes the contract, in every style of its use, on the real library."""

from __future__ import annotations

import importlib

from functools import partial

import pytest

from otelope.adapters.table import TABLE
from otelope.testing import Case, Contract


# BaseHTTPMiddleware of Starlette 0.27 leaves its streams open when an endpoint fails.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*MemoryObject:pytest.PytestUnraisableExceptionWarning",
    "ignore:Unclosed <MemoryObject:ResourceWarning",
)
# Servers that are processes of their own are marked, and what stands for one where it is missing.
MARKS = {
    "aws_server": pytest.mark.aws,
    "kafka_mock": pytest.mark.mock,
    "kafka_server": pytest.mark.kafka,
    "mqtt_server": pytest.mark.mqtt,
    "nats_server": pytest.mark.nats,
    "pubsub_server": pytest.mark.pubsub,
    "pulsar_server": pytest.mark.pulsar,
    "rabbitmq_server": pytest.mark.rabbitmq,
    "redis_server": pytest.mark.redis,
    "servicebus_server": pytest.mark.servicebus,
}


def cases():
    for row in TABLE:
        kind, _, name = row.name.rpartition(".")
        if kind == "databases":
            continue  # no messages: test_stores.py
        driver = importlib.import_module(f"tests.contract.drivers.{name}")
        for server in driver.SERVERS:
            again = False
            where = "" if server == driver.SERVERS[0] else f" {server}"
            for style, features in driver.STYLES.items():
                marks = [MARKS[server]] if server in MARKS else []
                if again:
                    marks.append(pytest.mark.again)
                made = partial(_made, driver.Driver, style, server)
                yield Case(f"{name} {style}{where}", features, made, marks)
                again = True


def _made(driver, style, server, request):
    return driver(style, request.getfixturevalue(server))


class TestRows(Contract):
    cases = tuple(cases())
