"""The scripts that hold the gates."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import benchmarks

from benchmarks.__main__ import ROOT, table, verdict
from tools.constraints import plain
from tools.floors import percent
from tools.rows import requirements


def test_pins_lose_their_markers():
    compiled = "# made by\nb==2 ; sys_platform == 'win32'\na==1\n"
    assert plain(compiled) == ["a==1", "b==2"]


def test_two_versions_of_one_package_are_refused():
    with pytest.raises(ValueError, match="a has two versions, 1 and 2"):
        plain("a==1 ; python_version < '3.11'\na==2 ; python_version >= '3.11'\n")


def test_requirements_are_read_by_position_and_by_name():
    source = 'TABLE = (Row("a", "a", "b>=1"), Row("c", "c", requires=("d>=2", "e>=3")))'
    assert requirements(source) == ["b>=1", "d>=2", "e>=3"]


def test_coverage_counts_lines_and_branches_of_one_folder():
    def entry(lines: int, covered: int, branches: int, taken: int) -> dict[str, dict[str, int]]:
        return {
            "summary": {
                "num_statements": lines,
                "covered_lines": covered,
                "num_branches": branches,
                "covered_branches": taken,
            }
        }

    files = {
        "src/otelope/model/a.py": entry(8, 8, 2, 1),
        "src/otelope/models.py": entry(10, 0, 0, 0),
    }
    assert percent(files, "src/otelope/model") == 90
    assert percent(files, "src/otelope") == 45
    assert percent(files, "src/nothing") is None


def test_what_the_benchmarks_import_is_there():
    # Nothing else runs them; in a process of its own, as some load ClickHouse's engine.
    names = [f"benchmarks.{found.name}" for found in pkgutil.iter_modules(benchmarks.__path__)]
    assert "benchmarks.trees" in names
    subprocess.run([sys.executable, "-c", f"import {', '.join(names)}"], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("ratio", "goal", "said"),
    [
        (2.5, 2.5, "met"),
        (2.51, 2.5, "MISSED"),
        (14_000, ">= 14,000", "met"),
        (13_999, ">= 14000", "MISSED"),
        (50, "<= 50", "met"),
        (1, None, ""),
    ],
)
def test_goals_are_read_as_limits(ratio: float, goal: float | str | None, said: str):
    assert verdict({"ratio": ratio, "goal": goal}) == said


def test_the_table_of_figures():
    rows = [
        {"name": "send", "ratio": 2.345, "unit": "S", "goal": 2.5},
        {"name": "ingest", "ratio": 23_456.7, "unit": "records/s", "goal": ">= 14000"},
        {"name": "tree", "ratio": 9.87, "unit": "ms", "goal": None, "note": "of few"},
    ]
    assert table(rows).splitlines() == [
        "name    figure  unit       goal",
        "send    2.35    S          ≤ 2.5     met",
        "ingest  23,457  records/s  ≥ 14,000  met",
        "tree    9.87    ms                        of few",
    ]
