"""What otelope adds to the start of a process, until the first supported library is imported."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from typing import Any


RUNS = 15

# Everything that opentelemetry-instrument has loaded by the time it comes to our entry points.
_CHILD = """
import json, sys, time
from importlib.metadata import entry_points
from opentelemetry.instrumentation.auto_instrumentation._load import (
    _load_configurators, _load_distro,
)
distro = _load_distro()
distro.configure()
_load_configurators()
# It looks these up in any case.
before = list(entry_points(group="opentelemetry_pre_instrument", name="otelope"))
ours = [
    entry_point
    for entry_point in entry_points(group="opentelemetry_instrumentor")
    if entry_point.name.startswith("otelope_")
]
started = time.perf_counter()
for entry_point in before:
    entry_point.load()()
for entry_point in ours:
    distro.load_instrumentor(entry_point, skip_dep_check=True)
print(json.dumps([(time.perf_counter() - started) * 1000, len(ours)]))
"""


def run() -> list[dict[str, Any]]:
    """The added wall-clock time in ms, median over fresh processes."""
    added = []
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD], check=True, capture_output=True, text=True
        )
        milliseconds, loaded = json.loads(done.stdout.splitlines()[-1])
        if not loaded:
            raise RuntimeError("otelope is not installed here: its entry points are missing")
        added.append(milliseconds)
    return [
        {
            "name": "startup_ms",
            "ratio": round(statistics.median(added), 1),
            "unit": "ms",
            "goal": 20,
        }
    ]
