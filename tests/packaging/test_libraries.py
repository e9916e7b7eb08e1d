"""What the table of libraries says is what the tests do."""

from __future__ import annotations

import pytest

from otelope.adapters.table import TABLE
from tests.e2e.chain.runs import RUNS


# Several clients stand on one server, and a chain's style names the client.
SERVERS = {
    "a stand-in for Pulsar": "pulsar",
    "a stand-in for Service Bus": "servicebus",
    "Apache Kafka": "kafka",
    "Google's pstest server": "pubsub",
    "Mosquitto": "mqtt",
    "moto's server": "aws",
    "NATS": "nats",
    "RabbitMQ": "rabbitmq",
    "Redis": "redis",
}
NAMES = {"confluent_kafka": "confluent", "redis_streams": "redis"}
BROKERS = [row for row in TABLE if row.name.startswith("brokers.")]


@pytest.mark.parametrize("row", BROKERS, ids=lambda row: row.name)
def test_chains_run_on_the_servers_that_a_row_names(row):
    name = row.name.rpartition(".")[2]
    library = NAMES.get(name, name)
    ran_on = {run.server for run in RUNS for style in run.styles if style.split()[0] == library}
    assert ran_on == {SERVERS[server] for server in row.proven_on.split(", ")}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_says_what_is_seen(row):
    assert row.styles
    assert row.proven_on
