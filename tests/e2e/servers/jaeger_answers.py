"""What Jaeger answers about a trace."""

from __future__ import annotations

import time

from typing import Any

import httpx


Span = dict[str, Any]


def spans_of(query: str, trace_id: str) -> list[Span]:
    """
    The spans of a trace in Jaeger, by their ids.

    Args:
        query: Where Jaeger answers.
        trace_id: 32 hexadecimal digits.
    """
    answer = httpx.get(f"{query}/api/traces/{trace_id}", trust_env=False, timeout=30)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return []
    (trace,) = answer.json()["data"]
    return [_span(trace, span) for span in sorted(trace["spans"], key=lambda each: each["spanID"])]


def awaited_spans(query: str, trace_id: str, count: int) -> list[Span]:
    """The spans of a trace, as soon as there are so many; fails after a while."""
    deadline = time.monotonic() + 30
    while len(spans := spans_of(query, trace_id)) < count:
        assert time.monotonic() < deadline, spans
        time.sleep(0.1)
    assert len(spans) == count
    return spans


def services_of(query: str) -> list[str]:
    """The services that Jaeger has heard of."""
    answer = httpx.get(f"{query}/api/services", trust_env=False, timeout=30)
    return sorted(answer.json()["data"])


def _span(trace: dict[str, Any], span: dict[str, Any]) -> Span:
    by_kind: dict[str, list[tuple[str, str]]] = {"CHILD_OF": [], "FOLLOWS_FROM": []}
    for each in span["references"]:
        by_kind[each["refType"]].append((each["traceID"], each["spanID"]))
    (_, parent), *others = by_kind["CHILD_OF"] or [("", "")]
    assert others == []
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    return {
        "id": span["spanID"],
        "parent": parent,
        "name": span["operationName"],
        "service": trace["processes"][span["processID"]]["serviceName"],
        "kind": tags["span.kind"],
        "envelope": tags.get("otelope.envelope.id"),
        "links": by_kind["FOLLOWS_FROM"],
        "started": span["startTime"],
        "duration": span["duration"],
        "warnings": span["warnings"],
    }
