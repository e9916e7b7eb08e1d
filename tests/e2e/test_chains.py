"""
Command → event → command → event between real processes: one tree, whatever carries it.

Each run has several styles of use, and all ways of sending (`SENT`) side by side; then each chain
is looked at by itself: in the store, and in the spans that the processes exported.
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
import string
import subprocess
import sys
import time

from collections.abc import Mapping
from contextlib import closing
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple, get_args
from uuid import uuid4

import httpx
import pytest

from examples.running import environments
from examples.running.processes import Processes
from otelope.core.settings import Lane
from otelope.model.identity import new_id
from tests.e2e.chain.runs import FORKING, RUNS, Run
from tests.e2e.chain.traces import ENVELOPE_ID, Chain, Store


HERE = Path(__file__).parent / "chain"
LANES = get_args(Lane)
SERVICES = ("orders", "payments", "relay", "shop")
TYPES = ["PlaceOrder", "OrderPlaced", "ChargeCard", "PaymentTaken"]
SENT_BY = ["web", "orders", "payments", "payments"]
HANDLED_BY = ["orders", "payments", "payments", "shop"]


class Sent(NamedTuple):
    """One way of sending: which ids, and what becomes of the headers."""

    foreign: bool
    via: str


SENT = [
    Sent(foreign, via) for foreign in (False, True) for via in ("headers", "no headers", "outbox")
]


# Neither the id says the trace, nor do headers.
UNTRACEABLE = Sent(foreign=True, via="no headers")


# One test for a run, not one for each chain: xdist would start the processes once per worker.
@pytest.mark.parametrize(
    "run",
    [
        pytest.param(run, marks=getattr(pytest.mark, run.server or "slow"), id=run.name)
        for run in RUNS
    ],
)
def test_chains_over(
    run: Run,
    otelope_up: tuple[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
):
    address = request.getfixturevalue(f"{run.server}_server") if run.server else None
    # Services in both lanes side by side, each in the other with the next run.
    lanes = cycle(LANES[RUNS.index(run) % len(LANES) :] + LANES)
    chains = _run(run, address, otelope_up, tmp_path, dict(zip(SERVICES, lanes, strict=False)))
    for sent, chain in chains.items():
        _store_has_the_whole_tree(chain, f"{sent}\n{chain}")
        if sent.foreign and not run.headers:
            _each_envelope_has_a_trace(chain, f"{sent}\n{chain}")
        elif sent == UNTRACEABLE:
            _each_cut_has_one_link(run, chain, f"{sent}\n{chain}")
        else:
            _spans_are_one_tree(run, chain, f"{sent}\n{chain}")


@pytest.mark.slow
def test_both_lanes_give_the_same_trees(otelope_up: tuple[str, str], tmp_path: Path):
    run = next(run for run in RUNS if run.server is None)
    seen = {}
    for lane in LANES:
        directory = tmp_path / lane
        directory.mkdir()
        chains = _run(run, None, otelope_up, directory, dict.fromkeys(SERVICES, lane))
        seen[lane] = {sent: _described(chain) for sent, chain in chains.items()}
        said = httpx.get(f"{otelope_up[1]}/api/processes", trust_env=False).json()
        # The latest first: of each of these services, the last word of the one that just ended.
        last = {each["service"]: each["status"] for each in reversed(said)}
        assert {last[service]["lane"] for service in SERVICES} == {lane}
        stored = [last[service].get("spans", {}).get("stored", 0) for service in SERVICES]
        assert all(stored) == (lane == "fast"), last
    assert seen["fast"] == seen["compat"]


def _described(chain: Chain) -> list[tuple[object, ...]]:
    """Its spans and records without what differs from run to run: ids, times, the run's name."""
    types = {node["span_id"]: node["type"] for node in chain.nodes}
    types |= {
        delivery["span_id"]: f"process {node['type']}"
        for node in chain.nodes
        for delivery in node["deliveries"]
    }

    def named(span_id: str) -> str:
        span = chain.spans.get(span_id, {})
        attributes = span.get("attributes", {})
        operation = attributes.get("messaging.operation.type", "")
        return f"{operation} {attributes.get('otelope.envelope.type', '')} {types.get(span_id)}"

    return sorted(
        (
            named(span["span_id"]),
            named(span["parent_span_id"]),
            sorted(named(link["span_id"]) for link in span["links"]),
            span["service"],
            span["kind"],
            span["status"],
            sorted(span["attributes"]),
        )
        for span in chain.spans.values()
    )


def _store_has_the_whole_tree(chain: Chain, seen: str) -> None:
    assert [node["type"] for node in chain.nodes] == TYPES, seen
    assert [node["source"]["name"] for node in chain.nodes] == SENT_BY, seen
    assert [node["kind"] for node in chain.nodes] == ["command", "event"] * 2, seen
    assert not any(node["parent_inferred"] for node in chain.nodes), seen
    assert [delivery["service"] for delivery in chain.deliveries] == HANDLED_BY, seen
    assert {delivery["outcome"] for delivery in chain.deliveries} == {"ok"}, seen
    assert chain.orphans() == [], seen


def _spans_are_one_tree(run: Run, chain: Chain, seen: str) -> None:
    ids = [node["id"] for node in chain.nodes]
    assert chain.parents_by_span() == [None, *ids[:-1]], seen
    assert len({node["trace_id"] for node in chain.nodes}) == 1, seen
    assert sorted(_sends(chain)) == sorted(ids), seen
    if not run.batches:
        assert chain.pieces() == [[]], seen


def _each_cut_has_one_link(run: Run, chain: Chain, seen: str) -> None:
    first, *others = chain.pieces()
    assert first == [], seen
    if run.batches:
        # A piece may hold several deliveries, each linked to what it delivers.
        assert all(others), seen
    else:
        # What a process receives of itself it has not forgotten.
        hops = zip(TYPES, SENT_BY, HANDLED_BY, strict=True)
        cut = [[sent] for sent, sender, by in hops if sender != by or run.style_of[by] in FORKING]
        assert others == cut, seen


def _each_envelope_has_a_trace(chain: Chain, seen: str) -> None:
    ids = [node["id"] for node in chain.nodes]
    assert len({node["trace_id"] for node in chain.nodes}) == len(ids), seen
    assert sorted(_sends(chain)) == sorted(ids), seen
    for node in chain.nodes:
        for delivery in node["deliveries"]:
            span = chain.spans[delivery["span_id"]]
            to = {span["parent_span_id"], *(link["span_id"] for link in span["links"])}
            assert node["span_id"] in to, seen
    for span in chain.spans.values():
        linked = {link["span_id"] for link in span["links"]}
        assert linked <= set(chain.spans), seen
        assert span["parent_span_id"] or linked or span["span_id"] == chain.nodes[0]["span_id"], (
            seen
        )


def _run(
    run: Run,
    address: str | None,
    otelope_up: tuple[str, str],
    directory: Path,
    lanes: Mapping[str, str] | None = None,
) -> dict[Sent, Chain]:
    # Services in both lanes side by side.
    lanes = lanes or dict(zip(SERVICES, cycle(LANES), strict=False))
    # Letters only: a path with digits would count as an id.
    name = "".join(random.choices(string.ascii_lowercase, k=8))
    roots = {sent: _command(sent) for sent in SENT}
    endpoint, url = otelope_up
    with (
        Processes(directory) as processes,
        run.carrier(address or partial(_url, processes), name) as broker,
        closing(Store(url)) as store,
    ):
        _start(processes, directory, run, broker, name, list(roots.values()), endpoint, lanes)
        _await_ends(processes, directory / "ended")
        nodes = {
            sent: store.nodes(root["id"], len(TYPES), processes.pause)
            for sent, root in roots.items()
        }
        processes.stop(*SERVICES)
        # uvicorn ends by the signal that it was sent.
        assert set(processes.exit_codes.values()) <= {0, -15}
        assert not [s for s in SERVICES if "otelope failed" in processes.output(s)]
        # Only now are the spans complete: batches link the chains' traces with each other.
        return {sent: store.chain(found) for sent, found in nodes.items()}


def _await_ends(processes: Processes, ended: Path) -> None:
    """Wait for the last message of each chain: asked meanwhile, the store computes for 0.3 s."""
    ended.touch()
    deadline = time.monotonic() + 60
    while len(ended.read_text().splitlines()) < len(SENT) and time.monotonic() < deadline:
        processes.pause(0.1)


def _sends(chain: Chain) -> list[str]:
    """The envelopes whose sending has a span; twice where it has two."""
    return [
        span["attributes"][ENVELOPE_ID]
        for span in chain.spans.values()
        if span["attributes"].get("messaging.operation.type") == "send"
        and span["attributes"].get(ENVELOPE_ID) in {node["id"] for node in chain.nodes}
    ]


def _command(sent: Sent) -> dict[str, Any]:
    return {
        "id": str(uuid4()) if sent.foreign else new_id(),
        "timestamp": time.time_ns() // 1_000_000,
        "source": {"name": "web", "version": "1.0"},
        "parentId": None,
        "type": TYPES[0],
        "payload": sent._asdict(),
    }


def _url(processes: Processes, service: str) -> str:
    deadline = time.monotonic() + 30
    while not (said := re.search(r"running on (http://\S+)", processes.output(service))):
        assert time.monotonic() < deadline, f"{service} is not ready"
        time.sleep(0.05)
    return said[1]


def _start(
    processes: Processes,
    directory: Path,
    run: Run,
    broker: str,
    name: str,
    first: list[dict[str, Any]],
    endpoint: str,
    lanes: Mapping[str, str],
) -> None:
    outbox = directory / "outbox.sqlite"
    with closing(sqlite3.connect(outbox)) as table, table:
        table.execute("CREATE TABLE outbox (channel TEXT, body BLOB, written REAL)")
    for service in SERVICES:
        work = {
            "style": run.style_of[service],
            "broker": broker,
            "run": name,
            "service": service,
            "outbox": str(outbox),
            "ended": str(directory / "ended"),
            "first": first if service == "shop" else [],
        }
        processes.start(
            service,
            [sys.executable, HERE / "worker.py", json.dumps(work)],
            environments.instrumented(
                service,
                "1.0",
                endpoint,
                PYTHONPATH=_launchers_path(),
                OTELOPE_LANE=lanes[service],
                # The contract measures the same in one process; here it would double the time.
                COVERAGE_PROCESS_CONFIG="",
            ),
            directory,
        )


@cache
def _launchers_path() -> str:
    """What `opentelemetry-instrument` sets before it becomes the program: 0.3 s each time."""
    launched = subprocess.run(
        [environments.instrument(), "printenv", "PYTHONPATH"],
        check=True,
        capture_output=True,
        text=True,
        env=environments.plain(),
    )
    return launched.stdout.strip()
