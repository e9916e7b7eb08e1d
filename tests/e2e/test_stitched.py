"""A chain of foreign ids over a transport without headers: in Jaeger, stitched, it is one tree."""

from __future__ import annotations

import json
import subprocess
import sys

from pathlib import Path

import pytest

from examples.running import environments
from otelope.model.identity import stitched_trace_id
from tests.e2e import test_chains
from tests.e2e.chain import transports
from tests.e2e.chain.runs import Run
from tests.e2e.chain.traces import Chain
from tests.e2e.servers.jaeger_answers import Span, awaited_spans
from tests.e2e.test_chains import UNTRACEABLE, Sent


SAME_WITH_OTELOPE_IDS = Sent(foreign=False, via=UNTRACEABLE.via)

# Service, name, kind and the parent's name of each span.
Shape = list[tuple[str, str, str, str]]


@pytest.mark.pipeline
@pytest.mark.parametrize(
    "run",
    [
        pytest.param(
            Run(None, transports.gateway, ("http fastapi httpx", "http starlette httpx")),
            marks=pytest.mark.slow,
        ),
        pytest.param(Run("kafka", transports.kafka, ("confluent poll",)), marks=pytest.mark.kafka),
    ],
    ids=lambda run: run.name,
)
def test_it_has_the_shape_of_the_same_chain_with_otelope_ids(
    run: Run,
    jaeger_server,
    otelope_up: tuple[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
):
    address = request.getfixturevalue(f"{run.server}_server") if run.server else None
    chains = test_chains._run(run, address, otelope_up, tmp_path)
    whole, pieces = chains[SAME_WITH_OTELOPE_IDS], chains[UNTRACEABLE]
    assert len(whole.pieces()) == 1 < len(pieces.pieces())
    root = pieces.nodes[0]["id"]

    spans = stitched(root, otelope_up[1], jaeger_server)

    assert shape(spans) == shape_of_original(whole)
    assert {link for span in spans for link in span["links"]} == {
        (each["trace_id"], each["span_id"]) for each in (*pieces.nodes, *pieces.deliveries)
    }
    assert [span["warnings"] for span in spans if span["warnings"]] == []
    assert stitched(root, otelope_up[1], jaeger_server) == spans


def stitched(root: str, store: str, jaeger) -> list[Span]:
    """The spans that Jaeger has after `otelope stitch`, as soon as all are there."""
    stitch = [sys.executable, "-m", "otelope", "stitch", root, "--json"]
    done = subprocess.run(
        [*stitch, "--store", store, "--to", jaeger.otlp],
        check=False, capture_output=True, text=True, env=environments.plain(), timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["trace_id"] == f"{stitched_trace_id(root):032x}"
    return awaited_spans(jaeger.query, said["trace_id"], said["spans"])


def shape(spans: list[Span]) -> Shape:
    """The tree by names; a parent that is not there fails."""
    names = {span["id"]: span["name"] for span in spans} | {"": ""}
    return sorted((s["service"], s["name"], s["kind"], names[s["parent"]]) for s in spans)


def shape_of_original(chain: Chain) -> Shape:
    (trace_id,) = {node["trace_id"] for node in chain.nodes}
    return shape(
        [
            {
                "id": span["span_id"],
                "parent": span["parent_span_id"],
                "kind": span["kind"].lower(),
                **{key: span[key] for key in ("name", "service")},
            }
            for span in chain.spans.values()
            if span["trace_id"] == trace_id
        ]
    )
