"""Contracts from end to end: a service's process, a broker, `otelope up` and the program."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request

from pathlib import Path

import confluent_kafka
import pytest

from examples.running.environments import instrument, instrumented, plain
from examples.running.servers import EmbeddedKafka, Otelope


SERVICE = """
import json, sys
import confluent_kafka
import otelope

address, topic = sys.argv[1:]
otelope.contract("OrderTold", {"orderId", "total"})
producer = confluent_kafka.Producer({"bootstrap.servers": address})
ids = []
for order in range(5):
    payload = {"orderId": order, "total": 90, "email": f"customer{order}@example.org"}
    event = otelope.envelope("OrderTold", payload)
    # The last one is not as careful as the others.
    producer.produce(topic, event.to_json(inside=order == 4), partition=0)
    ids.append(event.id)
producer.produce(topic, otelope.envelope("OrderCounted", {"orders": 5}).to_json(), partition=0)
assert producer.flush(10) == 0
print(json.dumps(ids))
"""


@pytest.fixture
def topic():
    return f"outside-{time.time_ns()}"


@pytest.fixture
def kafka(topic):
    return EmbeddedKafka([topic])


def messages(address: str, topic: str, count: int) -> list[bytes]:
    """What is on the broker, byte for byte, read by a client that is not instrumented."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "reader"})
    try:
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        found: list[bytes] = []
        deadline = time.monotonic() + 30
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} messages came"
            message = consumer.poll(1)
            if message is not None and message.error() is None:
                found.append(message.value())
        return found
    finally:
        consumer.close()


def body_of(otelope_up: Otelope, envelope_id: str) -> dict[str, object]:
    url = f"{otelope_up.questions}/api/envelope/{envelope_id}"
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        return json.loads(json.load(answer)["body"])


def contracts(otelope_up: Otelope, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otelope", "contracts", "--store", otelope_up.questions]
    return subprocess.run(
        [*command, *arguments],
        env=plain(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_broker_has_the_outside_the_store_the_inside_and_a_leak_is_told(
    otelope_up: Otelope, kafka: EmbeddedKafka, topic: str, tmp_path: Path
):
    service = tmp_path / "service.py"
    service.write_text(SERVICE, encoding="utf-8")
    done = subprocess.run(
        [instrument(), sys.executable, service, kafka.address, topic],
        env=instrumented("orders", "1.0", otelope_up.receiver),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    ids = json.loads(done.stdout)

    sent = messages(kafka.address, topic, 6)
    assert [json.loads(body)["id"] for body in sent[:5]] == ids
    assert [json.loads(body)["payload"] for body in sent[:4]] == [
        {"orderId": order, "total": 90} for order in range(4)
    ]
    assert [b"example.org" in body for body in sent] == [False] * 4 + [True, False]

    for order, envelope_id in enumerate(ids):
        inside = body_of(otelope_up, envelope_id)
        assert (inside["id"], inside["payload"]) == (
            envelope_id,
            {"orderId": order, "total": 90, "email": f"customer{order}@example.org"},
        )

    told = contracts(otelope_up, "--type", "OrderTold", "--since", "1h", "--check", "--json")
    assert (told.returncode, json.loads(told.stdout)) == (
        1,
        [
            {
                "type": "OrderTold",
                "envelopes": 5,
                "declared": ["orderId", "total"],
                "left": {"orderId": 5, "total": 5, "email": 1},
                "leaked": {"email": 1},
            }
        ],
    )
    fine = contracts(otelope_up, "--type", "OrderCounted", "--check")
    assert fine.returncode == 0
    assert fine.stdout.splitlines() == [
        "OrderCounted  1 envelope  no contract",
        "  ? orders  1",
        "1 type, 1 without a contract, nothing leaked",
    ]
