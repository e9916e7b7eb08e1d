"""What docs/cli.md shows: the commands' own help, and output made from one example."""

from __future__ import annotations

import io
import os

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import timezone
from unittest import mock

from otelope.cli import main
from otelope.cli.checks.finding import Finding
from otelope.cli.checks.processes import describe
from otelope.cli.contracts import contract_lines
from otelope.cli.doctor import report_lines
from otelope.cli.find import envelope_table
from otelope.cli.push import pushed_line
from otelope.cli.render import tree_lines
from otelope.cli.stitch import sent_line
from otelope.cli.style import Style
from otelope.cli.tail import item_line
from otelope.model.identity import stitched_trace_id
from otelope.stitch import chain_spans
from otelope.stitch.destination import DEFAULT_ENDPOINT
from tests.cli.story import START, failures, order, tree, walk


_STYLE = Style(zone=timezone.utc)


def help_of(*command: str) -> str:
    """What ``otelope COMMAND --help`` prints."""
    written = io.StringIO()
    with _plain_terminal(), redirect_stdout(written), suppress(SystemExit):
        main([*command, "--help"])
    return written.getvalue().rstrip()


def example_tree() -> str:
    return "\n".join(tree_lines(tree(order()), _STYLE, asked=order()["id"]))


def example_find() -> str:
    nodes = sorted(walk(order()), key=lambda node: -node["timestamp"])
    found = [
        {**node, "failed": bool(failures(node))}
        for node in nodes
        if node["source"]["name"] == "payments"
    ]
    return "\n".join(line.rstrip() for line in envelope_table(found, _STYLE))


def example_tail() -> str:
    items = []
    for node in walk(order()):
        items.append((node["timestamp"], {"what": "envelope", **node}))
        items += [
            (each["started"], {"what": "failure", "id": node["id"], "type": node["type"]} | each)
            for each in failures(node)
        ]
    items.sort(key=lambda item: item[0])
    return "\n".join(item_line(item, _STYLE) for _, item in items)


def example_contracts() -> str:
    types = [
        {
            "type": "ChargeCard",
            "envelopes": 118,
            "declared": None,
            "left": {"amount": 118, "card": 118},
            "leaked": {},
        },
        {
            "type": "OrderPlaced",
            "envelopes": 1_204,
            "declared": ["coupon", "orderId"],
            "left": {"orderId": 1_204, "email": 3},
            "leaked": {"email": 3},
        },
    ]
    return "\n".join(contract_lines(types, _STYLE))


def example_stitch() -> str:
    trace_id = f"{stitched_trace_id(order()['id']):032x}"
    count = sum(1 for _ in chain_spans(tree(order())))
    return sent_line(trace_id, count, DEFAULT_ENDPOINT)


def example_push() -> str:
    copied = {"otel_logs": 1_204_118, "otel_traces": 806_512}
    return pushed_line(copied, "http://clickhouse:8123/otelope", 99.4)


def example_doctor() -> str:
    process = {
        "service": "payments",
        "version": "2.1",
        "instance": "",
        "pid": 4711,
        "last_seen": START,
        "status": {
            "instrumented": {"brokers.confluent_kafka": "instrumented"},
            "counters": {"seen": 1_280, "stored": 1_268, "spooled": 0, "dropped": 12},
            "internal_errors": 0,
        },
    }
    sections = {
        "libraries": [
            Finding("ok", "confluent-kafka", "2.16.0, instrumented when it is imported"),
            Finding("note", "pika", "not installed"),
        ],
        "destination": [Finding("ok", "localhost:4317 (grpc)", "a collector takes records")],
        "processes": [describe(process, START + 40_000)],
    }
    return "\n".join(report_lines(sections, _STYLE))


@contextmanager
def _plain_terminal() -> Iterator[None]:
    with mock.patch.dict(os.environ, {"COLUMNS": "80", "NO_COLOR": "1"}):
        yield
