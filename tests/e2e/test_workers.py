"""Workers by the commands of their libraries, and what they tell as they end."""

from __future__ import annotations

import subprocess
import sys
import time

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from examples.running.environments import instrument, instrumented
from examples.running.processes import Processes
from examples.running.servers import Otelope
from otelope.testing.messages import new_channel
from tests.e2e.chain.traces import Store


HERE = Path(__file__).parent / "workers"
# Nothing is exported by the clock, so what is there in the end was told as the worker ended.
PATIENT = {"OTELOPE_EXPORT_INTERVAL": "600", "OTEL_BSP_SCHEDULE_DELAY": "600000"}


class Worker(NamedTuple):
    """
    How a worker is started.

    Args:
        library: Its module is `workers/by_LIBRARY.py`.
        server: What its messages go over.
        command: The library's, in which ``{queue}`` and ``{broker}`` are the test's own.
        forks: Whether each message is handled in a process that ends with it.
    """

    library: str
    server: str
    command: Sequence[str]
    forks: bool = False


WORKERS = [
    Worker("arq", "redis", ["arq", "by_arq.Settings"]),
    Worker(
        "celery",
        "rabbitmq",
        ["celery", "--app=by_celery", "worker", "--concurrency=2", "--hostname={queue}@localhost"],
    ),
    Worker("dramatiq", "rabbitmq", ["dramatiq", "by_dramatiq", "--processes=2", "--threads=1"]),
    Worker("huey", "redis", ["huey_consumer", "by_huey.huey", "--worker-type=thread"]),
    Worker("huey", "redis", ["huey_consumer", "by_huey.huey", "--worker-type=process"]),
    Worker("rq", "redis", ["rq", "worker", "{queue}", "--url={broker}"], forks=True),
    Worker("taskiq", "redis", ["taskiq", "worker", "by_taskiq:broker", "--workers=2"]),
]


@pytest.mark.parametrize(
    "worker",
    [pytest.param(each, marks=getattr(pytest.mark, each.server)) for each in WORKERS],
    ids=lambda worker: " ".join(worker.command),
)
def test_worker_loses_nothing_as_it_ends(
    worker: Worker, otelope_up: Otelope, tmp_path: Path, request: pytest.FixtureRequest
):
    broker, queue = request.getfixturevalue(f"{worker.server}_server"), new_channel()
    own = {"BROKER": broker, "QUEUE": queue}
    program, *arguments = (each.format(broker=broker, queue=queue) for each in worker.command)
    with Processes(tmp_path) as processes, closing(Store(otelope_up.questions)) as store:
        processes.start(
            "shop",
            [instrument(), Path(sys.executable).with_name(program), *arguments],
            instrumented("shop", "1.0", otelope_up.receiver, **own, **PATIENT),
            HERE,
        )
        root = subprocess.run(
            [instrument(), sys.executable, "client.py", f"by_{worker.library}"],
            cwd=HERE, env=instrumented("web", "1.0", otelope_up.receiver, **own),
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout.strip()  # fmt: skip
        processes.said("shop", "handling OrderPlaced", 60)
        if not worker.forks:
            (placed,) = store.nodes(root, 1, processes.pause, lambda nodes: True)
            assert placed["deliveries"] == []
        processes.stop("shop")
        assert processes.exit_codes == {"shop": 0}, processes.output("shop")
        assert "otelope failed" not in processes.output("shop")
        seen = processes.output("shop")
        nodes = store.nodes(root, 2, time.sleep)
        chain = store.chain(nodes)
    placed, told = nodes
    assert [node["type"] for node in nodes] == ["PlaceOrder", "OrderPlaced"], seen
    assert told["parent_id"] == placed["id"]
    assert not told["parent_inferred"]
    assert told["cause_span_id"] == placed["deliveries"][0]["span_id"]
    handled = [(each["service"], each["outcome"]) for each in chain.deliveries]
    assert handled == [("shop", "ok")] * 2
    assert len({node["trace_id"] for node in nodes}) == 1
    assert chain.pieces() == [[]], chain
    assert chain.orphans() == [], chain
