"""
Instrumented programs → collector → ClickHouse and Jaeger: the tree in one, the trace in the other.

The files are those that users get; the chain is that of `tests/e2e/test_chains.py`.
"""

from __future__ import annotations

import json

from pathlib import Path

import httpx
import pytest

from tests.e2e import test_chains
from tests.e2e.chain import transports
from tests.e2e.chain.runs import Run
from tests.e2e.chain.traces import ENVELOPE_ID, Chain
from tests.e2e.pipeline.backend import Backend
from tests.e2e.servers.jaeger_answers import Span, awaited_spans, spans_of
from tests.e2e.servers.jaeger_server import Jaeger
from tests.e2e.test_chains import UNTRACEABLE, Sent


pytestmark = pytest.mark.pipeline

CONFIGURATIONS = [
    pytest.param(("laptop", "traces-to-clickhouse"), id="laptop"),
    pytest.param(("production", "traces-to-clickhouse"), id="production"),
]


@pytest.mark.parametrize("configurations", CONFIGURATIONS)
def test_chains_are_whole_in_clickhouse_and_in_jaeger(
    configurations: tuple[str, ...], backend: Backend, jaeger_server: Jaeger, tmp_path: Path
):
    backend.start_collector(*configurations)
    asked = (backend.endpoint, backend.start_api())

    run = Run(None, transports.gateway, ("http fastapi httpx", "http starlette httpx"))
    chains = test_chains._run(run, None, asked, tmp_path)

    for sent, chain in chains.items():
        test_chains._store_has_the_whole_tree(chain, f"{sent}\n{chain}")
        for trace_id in sorted({span["trace_id"] for span in chain.spans.values()}):
            expected = spans_in(chain, trace_id)
            found = awaited_spans(jaeger_server.query, trace_id, len(expected))
            assert [known_of(span) for span in found] == expected
            assert unexpected_warnings(found) == []
    whole = chains[Sent(foreign=False, via="headers")]
    assert found_by_id(jaeger_server, whole) == [whole.nodes[0]["trace_id"]]
    assert pages_of(backend, jaeger_server, whole) == [whole.nodes[0]["trace_id"]]
    pieces = chains[UNTRACEABLE]
    assert set(pages_of(backend, jaeger_server, pieces)) == {
        each["trace_id"] for each in (*pieces.nodes, *pieces.deliveries)
    }


def found_by_id(jaeger: Jaeger, chain: Chain) -> list[str]:
    """The traces that Jaeger's search finds by the id of a chain's last envelope."""
    last = chain.nodes[-1]
    wanted = {"service": last["service"], "tags": json.dumps({ENVELOPE_ID: last["id"]})}
    answer = httpx.get(f"{jaeger.query}/api/traces", params=wanted, trust_env=False)
    return [trace["traceID"] for trace in answer.json()["data"]]


def pages_of(backend: Backend, jaeger: Jaeger, chain: Chain) -> list[str]:
    """The traces whose pages `otelope tree` names; Jaeger has them all."""
    tree = backend.ask("tree", chain.nodes[0]["id"], OTELOPE_JAEGER_URL=jaeger.query)
    traces = [url.removeprefix(f"{jaeger.query}/trace/") for url in tree["trace_urls"]]
    assert all(spans_of(jaeger.query, each) for each in traces)
    return traces


def unexpected_warnings(spans: list[Span]) -> list[str]:
    """What Jaeger says of spans, besides that a child began after its parent's end."""
    waited = "clock skew adjustment disabled; not applying calculated delta of -"
    found = [warning for span in spans for warning in span["warnings"] or ()]
    return [warning for warning in found if not warning.startswith(waited)]


def spans_in(chain: Chain, trace_id: str) -> list[Span]:
    """The spans of one of a chain's traces, as Jaeger should have them."""
    return [
        {
            "id": span["span_id"],
            "parent": span["parent_span_id"],
            "name": span["name"],
            "service": span["service"],
            "kind": span["kind"].lower(),
            "envelope": span["attributes"].get(ENVELOPE_ID),
            "links": sorted((link["trace_id"], link["span_id"]) for link in span["links"]),
        }
        for span in sorted(chain.spans.values(), key=lambda each: each["span_id"])
        if span["trace_id"] == trace_id
    ]


def known_of(span: Span) -> Span:
    """A span of Jaeger's without its times."""
    known = {**span, "links": sorted(span["links"])}
    for name in ("started", "duration", "warnings"):
        del known[name]
    return known
