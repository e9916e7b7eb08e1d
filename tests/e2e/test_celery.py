"""Celery's own workflows in real workers: one tree, whichever process of a pool handles what."""

from __future__ import annotations

import subprocess
import sys

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.running.environments import instrument, instrumented
from examples.running.processes import Processes
from examples.running.servers import Otelope
from otelope.testing.messages import new_channel


HERE = Path(__file__).parent
CLIENT = "from celery_shop import app; print(app.send_task('shop.order', [7]).id)"
SERVERS = [
    pytest.param(f"{server}_server", marks=getattr(pytest.mark, server))
    for server in ("rabbitmq", "redis")
]
# What tells of each task: a retry, and what came again as its process was killed.
DONE = {
    "shop.order": [("ok", 1, False)],
    "shop.bill": [("error", 1, False), ("ok", 2, False)],
    "shop.pack": [("ok", 1, False)],
    "shop.stamp": [("ok", 1, False)],
}


@pytest.mark.parametrize("pool", ["prefork", "threads"])
@pytest.mark.parametrize("server", SERVERS)
def test_workflow_in_a_pool_is_one_tree(
    server: str,
    pool: str,
    otelope_up: Otelope,
    tmp_path: Path,
    request: pytest.FixtureRequest,
):
    own = {
        "BROKER": request.getfixturevalue(server),
        "QUEUE": new_channel(),
        "QUESTIONS": otelope_up.questions,
    }
    done = {**DONE, "shop.stamp": [("ok", 1, pool == "prefork")]}
    worker = ["celery", "--app=celery_shop", "worker", f"--pool={pool}", "--concurrency=2"]
    few = [f"--hostname={pool}@localhost", "--without-gossip", "--without-mingle"]
    with Processes(tmp_path) as processes:
        environment = instrumented("shop", "1.0", otelope_up.receiver, **own)
        command = [instrument(), Path(sys.executable).with_name(worker[0]), *worker[1:], *few]
        processes.start("shop", command, environment, HERE)
        environment = instrumented("web", "1.0", otelope_up.receiver, **own)
        root = subprocess.run(
            [instrument(), sys.executable, "-c", CLIENT],
            cwd=HERE, env=environment, capture_output=True, text=True, check=True, timeout=60,
        ).stdout.strip()  # fmt: skip

        def tree() -> list[dict[str, Any]] | None:
            answer = httpx.get(f"{otelope_up.questions}/api/tree/{root}", trust_env=False)
            nodes = list(_below(answer.json()["root"])) if answer.is_success else []
            wanted = [len(done[node["type"]]) for node in nodes]
            return nodes if len(nodes) == 5 and _counts(nodes) == wanted else None

        nodes = processes.wait_for(tree, "the whole tree", 60)
        processes.stop("shop")
        assert processes.exit_codes == {"shop": 0}
        assert "otelope failed" not in processes.output("shop")
    order, bill, pack, *_ = nodes
    assert [node["type"] for node in nodes] == [*list(done)[:3], "shop.stamp", "shop.stamp"]
    parents = [node["parent_id"] for node in nodes]
    assert parents == [None, order["id"], bill["id"], pack["id"], pack["id"]]
    assert {node["kind"] for node in nodes} == {"command"}
    assert len({node["trace_id"] for node in nodes}) == 1
    for node in nodes:
        assert _told(node) == done[node["type"]], node
    answer = httpx.get(f"{otelope_up.questions}/api/spans/{order['trace_id']}", trust_env=False)
    spans = answer.json()
    known = {span["span_id"] for span in spans}
    assert {node["span_id"] for node in nodes} <= known
    assert {each["span_id"] for node in nodes for each in node["deliveries"]} <= known
    assert {span["parent_span_id"] for span in spans if span["parent_span_id"]} <= known


def _below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node["children"]:
        yield from _below(child)


def _counts(nodes: list[dict[str, Any]]) -> list[int]:
    return [len(node["deliveries"]) for node in nodes]


def _told(node: dict[str, Any]) -> list[tuple[str, int, bool]]:
    return [(each["outcome"], each["attempt"], each["redelivered"]) for each in node["deliveries"]]
