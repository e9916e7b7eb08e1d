"""One event over two brokers: one envelope, sent twice, and a consumer that it reaches twice."""

from __future__ import annotations

import subprocess
import sys
import time

from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.flows.adapters import create_channels
from examples.running.environments import instrument, instrumented
from examples.running.servers import EmbeddedKafka, Otelope


SENDER = """
import sys
import otelope
from examples.flows.adapters import broker_of
from examples.flows.ports import Keyed

event = otelope.envelope("OrderPlaced", {"order": "o-1"})
for channel, url in zip(sys.argv[1::2], sys.argv[2::2]):
    broker_of(url, "orders").publish(channel, [Keyed("o-1", event.to_json())])
print(event.id)
"""
RECEIVER = """
import os, signal, sys
from examples.flows.adapters import broker_of

for channel, url in zip(sys.argv[1::2], sys.argv[2::2]):
    # The first message asks to end. The group is called like the channel, as the server is shared.
    broker_of(url, channel).consume([channel], lambda _: os.kill(os.getpid(), signal.SIGTERM))
"""
SECONDS_TO_SETTLE = 30


@pytest.mark.slow
@pytest.mark.rabbitmq
def test_one_event_over_two_brokers_is_one_event_that_is_handled_twice(
    rabbitmq_server: str, otelope_up: Otelope
):
    topic, queue = (f"{broker}-{time.time_ns()}" for broker in ("kafka", "rabbitmq"))
    kafka = EmbeddedKafka([topic])
    create_channels(rabbitmq_server, [queue], {queue: [queue]})
    channels = [topic, f"kafka://{kafka.address}", queue, rabbitmq_server]
    event_id = _run("orders", SENDER, otelope_up, channels).strip()
    _run("shipping", RECEIVER, otelope_up, channels)

    tree = _tree(otelope_up, event_id)
    assert (tree["id"], tree["type"], tree["children"]) == (event_id, "OrderPlaced", [])
    assert _marks(tree["sends"]) == [("orders", topic, "ok"), ("orders", queue, "ok")]
    assert _marks(tree["deliveries"]) == [("shipping", topic, "ok"), ("shipping", queue, "ok")]
    assert [each["duplicate"] for each in tree["deliveries"]] == [False, True]


def _run(name: str, program: str, otelope: Otelope, arguments: list[str]) -> str:
    done = subprocess.run(
        [instrument(), sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).parents[2],
        env=instrumented(name, "1.0", otelope.receiver),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _tree(otelope: Otelope, event_id: str) -> dict[str, Any]:
    """Of the event, as soon as both its handlings are there."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while True:
        answer = httpx.get(f"{otelope.questions}/api/tree/{event_id}", trust_env=False)
        root: dict[str, Any] = answer.json()["root"] if answer.is_success else {"deliveries": []}
        if len(root["deliveries"]) > 1:
            return root
        assert time.monotonic() < deadline, root
        time.sleep(0.05)


def _marks(marks: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(mark["service"], mark["channel"], mark["outcome"]) for mark in marks]
