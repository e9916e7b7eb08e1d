"""
What a flow's README says of its runs is what the tests see.

``RENEW_READMES=1`` lets the tests write it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from pathlib import Path
from typing import Any

import httpx

from examples.flows.expected import nodes_of
from examples.running.environments import plain
from otelope import Envelope
from tests.e2e.flows.harness import Witnesses


Span = dict[str, Any]

FLOWS = Path(__file__).parents[3] / "examples/flows"

# What differs between two runs, and what stands for it when they are compared.
VARYING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", "TIME"),
    (r"\d[\d.]* (?:µs|ms|s|min)\b", "DURATION"),
    (r"[0-9a-f]{8}(…|-[0-9a-f-]{27})", "ID"),
    (r"[0-9a-f]{32}", "TRACE"),
)


def check(package: str, name: str, text: str, *, ordered: bool = True) -> None:
    """
    The README's block of this name says this, but for times and ids.

    Args:
        package, name: The flow's, and the block's.
        text: What it is to say.
        ordered: Whether the order of the lines counts, and what a tree draws before them.
    """
    bare = without_varying if ordered else _lines_of
    path = FLOWS / package / "README.md"
    readme = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: from the tests -->\n", f"<!-- end of {name} -->"
    before, found, rest = readme.partition(begin)
    block, ended, after = rest.partition(end)
    assert found, f"{path} has no {begin!r}"
    assert ended, f"{path} has no {end!r}"
    if os.environ.get("RENEW_READMES"):
        if bare(block) != bare(text + "\n"):
            path.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
        return
    assert bare(block) == bare(text + "\n"), (
        f"RENEW_READMES=1 mends {path}, which should say:\n{text}"
    )


def without_varying(text: str) -> str:
    for pattern, name in VARYING:
        text = re.sub(pattern, name, text)
    return text


def _lines_of(text: str) -> list[str]:
    return sorted(line.lstrip("│├└─ ") for line in without_varying(text).splitlines())


def printed_tree(flow: Witnesses, command: Envelope) -> str:
    """What `otelope tree` prints for a command, as a block of Markdown."""
    return f"```\n{_printed(flow, 'tree', command.id)}```"


def printed_stuck(flow: Witnesses, event: Envelope) -> str:
    """How an event is found that waits in an outbox, as a block of Markdown."""
    find = ("find", "--stuck", "--type", event.type)
    return (
        f"```\n$ otelope {' '.join(find)}\n{_printed(flow, *find)}\n"
        f"$ otelope tree {event.id}\n{_printed(flow, 'tree', event.id)}```"
    )


def _printed(flow: Witnesses, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "otelope", *arguments, "--store", flow.running.otelope.questions],
        env=plain(PYTHONIOENCODING="utf-8"),
        capture_output=True,
        check=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )
    return done.stdout


def printed_spans(flow: Witnesses, command: Envelope) -> str:
    """The spans of a command's trace as Jaeger draws them, each below its parent."""
    tree = flow.running.tree(command.id)
    assert tree is not None
    (trace_id,) = tree["trace_ids"]
    url = f"{flow.running.otelope.questions}/api/spans/{trace_id}"
    wanted = {
        mark["span_id"]
        for node in nodes_of(tree["root"])
        for mark in (*node["deliveries"], *node["stores"], *node["sends"])
    }

    def arrived() -> list[Span] | None:
        spans: list[Span] = httpx.get(url, trust_env=False).json()
        return spans if wanted <= {span["span_id"] for span in spans} else None

    spans = sorted(flow.waited(arrived, "the spans"), key=lambda span: float(span["started"]))
    ids = {span["span_id"] for span in spans}
    roots = [span for span in spans if span["parent_span_id"] not in ids]
    lines = [line for span in roots for line in _span_lines(span, spans)]
    return "\n".join(["```", *lines, "```"])


def _span_lines(span: Span, spans: list[Span]) -> list[str]:
    below = [each for each in spans if each["parent_span_id"] == span["span_id"]]
    lines = [line for child in below for line in _span_lines(child, spans)]
    envelope_type = span["attributes"]["otelope.envelope.type"]
    first = f"{span['service']}: {span['name']}  {envelope_type}"
    return [first, *(f"   {line}" for line in lines)]
