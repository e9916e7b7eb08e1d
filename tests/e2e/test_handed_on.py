"""The examples of docs/handling.md do what it says."""

from __future__ import annotations

import json
import os
import re
import sys
import time

from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from confluent_kafka import Producer

from examples.running import environments
from examples.running.processes import Processes
from tests.e2e.chain.traces import Node, Store


PAGE = Path(__file__).parents[2] / "docs" / "handling.md"
SHOP = Path(__file__).parent / "handed_on"
COUNT = 5


def example(heading: str) -> str:
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


@pytest.mark.kafka
@pytest.mark.parametrize("heading", ["Threads", "Tasks", "Processes"])
def test_work_handed_to(
    heading: str, kafka_server: str, otelope_up: tuple[str, str], tmp_path: Path
):
    endpoint, url = otelope_up
    run = f"handed-{heading.lower()}-{uuid4().hex}"
    orders = {number: str(uuid4()) for number in range(COUNT)}
    producer = Producer({"bootstrap.servers": kafka_server})
    for number, id_ in orders.items():
        producer.produce(f"{run}-orders", order(id_, number))
    producer.flush()
    (tmp_path / "program.py").write_text(example(heading), encoding="utf-8")
    own = {
        "PYTHONPATH": os.pathsep.join([str(SHOP), *sys.path]),
        "SHOP_KAFKA": kafka_server,
        "SHOP_ORDERS": f"{run}-orders",
        "SHOP_EVENTS": f"{run}-events",
        "SHOP_COUNT": str(COUNT),
    }

    with Processes(tmp_path) as processes, closing(Store(url)) as store:
        processes.start(
            "program",
            [environments.instrument(), sys.executable, "program.py"],
            environments.instrumented("shop", "1.0", endpoint, **own),
            tmp_path,
        )
        assert processes.wait_for_end("program", 60) == 0
        trees = {
            number: store.nodes(id_, 2, time.sleep, handled) for number, id_ in orders.items()
        }

    for number, (ordered, placed) in trees.items():
        failed = number == 3 and heading != "Tasks"
        told = [(each["outcome"], each["error_type"]) for each in ordered["deliveries"]]
        assert told == [("error", "ValueError") if failed else ("ok", None)], heading
        assert placed["type"] == "OrderPlaced"
        assert placed["parent_id"] == ordered["id"]
        assert placed["cause_span_id"] == ordered["deliveries"][0]["span_id"]
        assert placed["trace_id"] == ordered["deliveries"][0]["trace_id"]


def handled(nodes: list[Node]) -> bool:
    """Nobody receives the events."""
    return bool(nodes[0]["deliveries"])


def order(id_: str, number: int) -> bytes:
    return json.dumps(
        {
            "id": id_,
            "timestamp": time.time_ns() // 1_000_000,
            "source": {"name": "web", "version": "1.0"},
            "parentId": None,
            "type": "PlaceOrder",
            "payload": number,
        }
    ).encode()
