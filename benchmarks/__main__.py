"""
All benchmarks, in one run: `python -m benchmarks [NAME ...]`.

A module beside this one that has `run()` is a benchmark; it returns rows of ``name``, ``ratio``
(the measured figure), ``unit`` and ``goal``: a number that it may not exceed, a text such as
``>= 14000``, or None for what is measured beside it; a row may have a ``note``. One table goes to
the terminal, the rows to build/bench.json. A missed goal is reported, not an error: this machine
may be busy. Nor is a program that is not on this machine, except with CI=true.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import benchmarks

from tests.e2e.servers.processes import Missing


ROOT = Path(__file__).parent.parent
RESULT = ROOT / "build/bench.json"
_ONE = "--one"
_MISSING = 3


def main(wanted: list[str]) -> int:
    """Run the benchmarks; 1 where one of them failed, 2 for a name that is none."""
    modules = [found.name for found in pkgutil.iter_modules(benchmarks.__path__)]
    modules.remove("__main__")
    if unknown := set(wanted) - set(modules):
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(modules)}")
        return 2
    rows: list[dict[str, Any]] = []
    failed, missing = [], []
    on_ci = os.environ.get("CI", "").lower() in ("1", "true")
    with tempfile.TemporaryDirectory() as directory:
        result = Path(directory) / "rows.json"
        for name in wanted or modules:
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            # A fresh process: what one instruments or leaves in memory must not burden the next.
            command = [sys.executable, "-m", "benchmarks", _ONE, name, result]
            code = subprocess.run(command, check=False, cwd=ROOT).returncode
            if code == _MISSING and not on_ci:
                missing.append(name)
            elif code:
                failed.append(f"{name} (exit code {code})")
            else:
                rows += json.loads(result.read_text(encoding="utf-8"))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    print(table(rows))
    print(f"\n{len(rows)} figures in {RESULT.relative_to(ROOT)}")
    if missing:
        print(f"not measured, see above: {', '.join(missing)}")
    if failed:
        print(f"FAILED, see above: {', '.join(failed)}")
    return int(bool(failed))


def measure(name: str, result: Path) -> None:
    """Write the rows of one benchmark; none for a module that only serves others."""
    module = importlib.import_module(f"benchmarks.{name}")
    rows = list(module.run()) if hasattr(module, "run") else []
    result.write_text(json.dumps(rows), encoding="utf-8")


def bound(goal: float | str) -> tuple[str, float]:
    """A goal as its relation and number; a bare number is the highest that will do."""
    if isinstance(goal, str):
        relation, number = goal.split()
        return {"<=": "≤", ">=": "≥"}[relation], float(number.replace(",", ""))
    return "≤", goal


def verdict(row: dict[str, Any]) -> str:
    if row["goal"] is None:
        return ""
    relation, number = bound(row["goal"])
    met = row["ratio"] <= number if relation == "≤" else row["ratio"] >= number
    return "met" if met else "MISSED"


def table(rows: Iterable[dict[str, Any]]) -> str:
    lines = [("name", "figure", "unit", "goal", "", "")]
    for row in rows:
        goal = "" if row["goal"] is None else "{} {:,g}".format(*bound(row["goal"]))
        figure = f"{row['ratio']:,.0f}" if row["ratio"] >= 1000 else f"{row['ratio']:.3g}"
        lines.append((row["name"], figure, row["unit"], goal, verdict(row), row.get("note", "")))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


if __name__ == "__main__":
    if sys.argv[1:2] == [_ONE]:
        try:
            measure(sys.argv[2], Path(sys.argv[3]))
        except Missing as missing:
            print(missing, file=sys.stderr)
            sys.exit(_MISSING)
    else:
        sys.exit(main(sys.argv[1:]))
