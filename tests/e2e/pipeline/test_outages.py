"""
What fails while an application sends 2,000 events a second: no envelope is lost.

Time is compressed by the configuration: a batch is tried again after 0.1 s and every 0.5 s, where
production waits 1 s and 30 s; ten seconds stand for ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from confluent_kafka.admin import AdminClient, NewTopic

from examples.running.ports import free_port
from otelope.model.identity import new_id
from otelope.model.semconv import CONTRACT_DECLARED, CONTRACT_LEFT, PARENT_LAG_MS, SEND_LAG_MS
from tests.e2e.pipeline.application import Load, settle
from tests.e2e.pipeline.backend import Backend
from tests.e2e.pipeline.sending import send
from tests.e2e.servers.jaeger_answers import services_of
from tests.e2e.servers.jaeger_server import Jaeger, running_jaeger
from tests.store.made import envelope_record, request


pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("outages")]

OUTAGE = 10.0
# Half of what is sent; a queue must have room for a request of otelope's, 3 MiB, whole.
QUEUE_BYTES = 20_000_000


@pytest.mark.parametrize("configuration", ["laptop", "production"])
def test_the_collector_is_killed_and_started_again(backend: Backend, configuration: str):
    backend.start_collector(configuration)
    load = Load(backend)
    for _ in range(2):
        backend.processes.pause(2)
        backend.processes.kill("collector")
        backend.processes.pause(0.5)
        backend.start_collector(configuration)
    settle(backend, load.finish())


def test_clickhouse_is_away(backend: Backend):
    backend.start_collector("production")
    load = Load(backend)
    backend.processes.pause(2)
    backend.server.kill()
    made = load.finish()  # it ends in spite of it
    backend.processes.pause(OUTAGE)
    # Started anew meanwhile, the collector has not seen which columns there are.
    backend.processes.kill("collector")
    backend.start_collector("production")
    backend.processes.pause(1)
    backend.server.start()
    settle(backend, made)


def test_jaeger_is_away(backend: Backend):
    """Envelopes go on; spans wait in a queue of their own."""
    port = free_port()
    backend.start_collector("production", JAEGER_ENDPOINT=f"127.0.0.1:{port}")
    load = Load(backend, OTEL_TRACES_SAMPLER_ARG="0.05")
    settle(backend, load.finish())
    waiting = backend.metrics()
    assert waiting["otelcol_receiver_accepted_spans"] > 0
    assert waiting.get("otelcol_exporter_sent_spans", 0) == 0
    with running_jaeger(port) as jaeger:
        backend.processes.wait_for(
            lambda: (
                backend.metrics().get("otelcol_exporter_sent_spans")
                == waiting["otelcol_receiver_accepted_spans"]
                or None
            ),
            "all spans in Jaeger",
            30,
        )
        assert "orders" in services_of(jaeger.query)


def test_the_queue_is_full(backend: Backend):
    """Who sends waits, and keeps what it has; the disk of the queue has room until then."""
    backend.start_collector(
        "production", COLLECTOR_QUEUE_BYTES=str(QUEUE_BYTES), disk_bytes=4 * QUEUE_BYTES
    )
    backend.server.kill()
    load = Load(backend)
    # A request more than fits is made to wait.
    backend.processes.wait_for(
        lambda: backend.metrics()["otelcol_exporter_queue_size"] > QUEUE_BYTES / 2 or None,
        "the queue to be full",
        30,
    )
    backend.processes.said("load", "done", 30)
    assert backend.metrics()["otelcol_exporter_queue_size"] <= QUEUE_BYTES
    backend.server.start()
    settle(backend, load.finish())
    assert "no space left on device" not in backend.processes.history("collector")


def test_a_poisoned_batch(backend: Backend):
    """Whatever a record holds, it is stored, and so is all around it."""
    backend.start_collector("production")
    ids = [new_id() for _ in range(1000)]
    records = [envelope_record(each) for each in ids]
    for position, moment in {3: 2**63, 500: 2**64 - 1, 998: 0}.items():
        records[position].time_unix_nano = moment
    for position, lag in {5: float("inf"), 501: float("nan"), 997: 1e300}.items():
        records[position].attributes.add(key=SEND_LAG_MS).value.double_value = lag
        records[position].attributes.add(key=PARENT_LAG_MS).value.double_value = lag
    for position, text in {7: "[", 502: '["a", 1, {', 996: "\0"}.items():
        records[position].attributes.add(key=CONTRACT_DECLARED).value.string_value = text
        records[position].attributes.add(key=CONTRACT_LEFT).value.string_value = text
        records[position].body.string_value = text
    send(backend.endpoint, request(*records))
    settle(backend, set(ids))


def test_tables_are_missing_at_first(
    tmp_path: Path, collector_program: Path, jaeger_server: Jaeger
):
    """What comes before `otelope schema apply` is stored after it."""
    with Backend(tmp_path, jaeger_server.otlp, tables=False) as backend:
        backend.start_collector("production")
        ids = [new_id() for _ in range(10)]
        send(backend.endpoint, request(*map(envelope_record, ids)))
        backend.processes.said("collector", "Exporting failed. Will retry", 30)
        backend.run("schema", "apply")
        settle(backend, set(ids))


@pytest.mark.kafka
def test_two_tiers(backend: Backend, kafka_server: str):
    """With Kafka between them nobody who sends feels that ClickHouse is away, for however long."""
    run = backend.directory.parent.name.replace("_", "-")
    topics = {"KAFKA_LOGS_TOPIC": f"{run}-logs", "KAFKA_TRACES_TOPIC": f"{run}-spans"}
    kafka = {**topics, "KAFKA_BROKERS": f"[{kafka_server}]", "KAFKA_GROUP": run}
    make_topics(kafka_server, topics.values())
    backend.start_collector("two-tier-edge", **kafka)
    backend.start_collector("two-tier-writer", name="writer", **kafka)
    load = Load(backend, OTEL_TRACES_SAMPLER_ARG="0.05")
    backend.processes.pause(1)
    backend.server.kill()
    backend.processes.pause(1)
    backend.processes.kill("writer")
    made = load.finish()
    spans = backend.metrics()["otelcol_receiver_accepted_spans"]
    backend.start_collector("two-tier-writer", name="writer", **kafka)
    backend.processes.kill("collector")
    backend.start_collector("two-tier-edge", **kafka)
    backend.processes.pause(OUTAGE)
    backend.server.start()
    settle(backend, made)
    assert spans > 0


def make_topics(address: str, names: Iterable[str]) -> None:
    """Topics as the head of ``two-tier-edge.yaml`` asks for, on one broker."""
    admin = AdminClient({"bootstrap.servers": address})
    settings = {"max.message.bytes": "8388608"}
    wanted = [NewTopic(name, num_partitions=4, config=settings) for name in names]
    for future in admin.create_topics(wanted).values():
        future.result(30)
