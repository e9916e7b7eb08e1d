"""The flows, run as their readers run them: what they print, and that nothing stays behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from pathlib import Path

import httpx
import pytest

from examples.flows.flow import PACKAGES, flow_of
from examples.running.servers import Otelope


ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("letter", PACKAGES)
def test_once_tells_four_orders_and_ends(letter: str, temporary: Path, otelope_up: Otelope):
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("BROKER", "DATABASE")
    }
    done = subprocess.run(
        [sys.executable, "-m", "examples.flows", letter],
        cwd=ROOT,
        env={
            **inherited,
            "ONCE": "1",
            "TMPDIR": str(temporary),
            "PYTHONIOENCODING": "utf-8",
            # Whatever takes spans will do.
            "JAEGER": otelope_up.receiver,
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    flow = flow_of(letter)
    assert re.findall(r"^POST (.+)$", done.stdout, re.MULTILINE) == [
        f"2 × book: {flow.placed}",  # noqa: RUF001 - as it is printed
        f"3 × desk: {flow.placed}",  # noqa: RUF001
        f"2 × lamp: {flow.rejected}",  # noqa: RUF001
        f"1 × unicorn: {flow.failed}",  # noqa: RUF001
    ]
    counts = re.findall(r"^(\d) envelopes?, .*, trace ([0-9a-f]{32})$", done.stdout, re.MULTILINE)
    assert [count for count, _ in counts] == ["4", "4", "2", "1"]
    for _, trace_id in counts:
        url = f"{otelope_up.questions}/api/spans/{trace_id}"
        spans = httpx.get(url, trust_env=False).json()
        assert "orders" in {span["service"] for span in spans}


def test_an_unknown_flow_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "examples.flows", "e"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "usage: python -m examples.flows a|b|c|d\n")
