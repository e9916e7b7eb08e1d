"""
Fixtures with real servers: one of each per test run, whatever the number of xdist workers.

`kafka_server`, `rabbitmq_server`, `nats_server`, `mqtt_server`, `aws_server`, `redis_server`,
`pubsub_server`, `pulsar_server`, `servicebus_server`, `postgresql_server` and `jaeger_server` are
addresses, and `kafka_mock` that of librdkafka's own cluster, which needs nothing but
confluent-kafka. Each test has a `clickhouse_server` of its own, which it may stop, kill and start
again.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.servers.clickhouse import ClickHouse, clickhouse
from tests.e2e.servers.jaeger_server import Jaeger
from tests.e2e.servers.processes import wait_for_end


# Set by the process that the user started, inherited by its xdist workers.
DIRECTORY = "OTELOPE_TEST_SERVERS"
OWNER = "OTELOPE_TEST_SERVERS_OWNER"
START_TIMEOUT = 180
STOP_TIMEOUT = 45


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Made when the first server starts, so that a run without one leaves nothing, even killed.
        name = f"otelope-servers-{os.getpid()}-{secrets.token_hex(4)}"
        os.environ[DIRECTORY] = str(Path(tempfile.gettempdir()) / name)
        os.environ[OWNER] = str(os.getpid())


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or DIRECTORY not in os.environ:
        return
    directory = Path(os.environ.pop(DIRECTORY))
    keepers = [
        answer["keeper"]
        for file in directory.glob("*.json")
        if "keeper" in (answer := json.loads(file.read_text(encoding="utf-8")))
    ]
    for keeper in keepers:
        os.kill(keeper, signal.SIGTERM)
    for keeper in keepers:
        wait_for_end(keeper, STOP_TIMEOUT)
    shutil.rmtree(directory, ignore_errors=True)


def _address(name: str) -> str:
    directory = Path(os.environ[DIRECTORY])
    directory.mkdir(mode=0o700, exist_ok=True)
    answer = directory / f"{name}.json"
    with (directory / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            _start(name, answer)
    said = json.loads(answer.read_text(encoding="utf-8"))
    if "missing" in said:
        pytest.skip(said["missing"])
    if "failed" in said:
        pytest.fail(f"{name} did not start: {said['failed']}", pytrace=False)
    return str(said["address"])


def _start(name: str, answer: Path) -> None:
    log = answer.with_suffix(".log")
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.servers.keeper", name, answer, os.environ[OWNER]],
            cwd=Path(__file__).parents[3],
            # Not a part of what is measured: without this, coverage would follow it.
            env={key: value for key, value in os.environ.items() if "COVERAGE" not in key},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_TIMEOUT
    while not answer.exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            keeper.kill()
            keeper.wait()
            pytest.fail(f"{name} did not start:\n{log.read_text(errors='replace')}", pytrace=False)
        time.sleep(0.05)
    # It outlives this process on purpose; a Popen that knows of no end would warn.
    keeper.returncode = 0


@pytest.fixture(scope="session")
def kafka_server() -> str:
    """The address of an Apache Kafka, ``127.0.0.1:port``."""
    return _address("kafka")


@pytest.fixture(scope="session")
def rabbitmq_server() -> str:
    """The address of a RabbitMQ, ``amqp://…``."""
    return _address("rabbitmq")


@pytest.fixture(scope="session")
def nats_server() -> str:
    """The address of a NATS with JetStream, ``nats://…``."""
    return _address("nats")


@pytest.fixture(scope="session")
def mqtt_server() -> str:
    """The address of a Mosquitto, ``mqtt://…``."""
    return _address("mqtt")


@pytest.fixture(scope="session")
def aws_server() -> str:
    """The address of what serves SQS, SNS and EventBridge, ``http://…``."""
    return _address("aws")


@pytest.fixture(scope="session")
def redis_server() -> str:
    """The address of a Redis, ``redis://…``."""
    return _address("redis")


@pytest.fixture(scope="session")
def pubsub_server() -> str:
    """The address of Google's test server of Pub/Sub, ``127.0.0.1:port``."""
    return _address("pubsub")


@pytest.fixture(scope="session")
def pulsar_server() -> str:
    """The address of what stands in for a broker of Pulsar, ``pulsar://…``."""
    return _address("pulsar")


@pytest.fixture(scope="session")
def servicebus_server() -> str:
    """The connection string of what stands in for Azure Service Bus, ``Endpoint=…``."""
    return _address("servicebus")


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """The address of a PostgreSQL's database, ``postgresql://…``."""
    return _address("postgresql")


@pytest.fixture(scope="session")
def jaeger_server() -> Jaeger:
    """Where a Jaeger takes spans and answers."""
    return Jaeger(*_address("jaeger").split())


@pytest.fixture
def clickhouse_server(tmp_path: Path) -> Iterator[ClickHouse]:
    """A ClickHouse server without a database of ours; who else asks for its kind: `clickhouse`."""
    with clickhouse(tmp_path / "clickhouse") as server:
        yield server


@pytest.fixture(scope="session")
def kafka_mock() -> Iterator[str]:
    """The address of a cluster inside this process, which speaks Kafka's protocol."""
    confluent_kafka = pytest.importorskip("confluent_kafka")
    # The cluster lives as long as this producer.
    producer = confluent_kafka.Producer({"test.mock.num.brokers": 1})
    (broker,) = producer.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    del producer
