"""
Hold the coverage of each folder against its floor in pyproject.toml.

It reads what the last `make test` measured, newest and lowest versions together.
"""

from __future__ import annotations

import json
import os
import sys

from pathlib import Path

from coverage import Coverage
from coverage.exceptions import NoDataError, NoSource


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


ROOT = Path(__file__).parent.parent
REPORT = ROOT / "build/coverage.json"


def percent(files: dict[str, dict[str, dict[str, int]]], folder: str) -> float | None:
    """Lines and branches covered below this folder, as coverage counts them; None for no code."""
    summaries = [
        entry["summary"] for name, entry in files.items() if name.startswith(f"{folder}/")
    ]
    total = sum(s["num_statements"] + s["num_branches"] for s in summaries)
    covered = sum(s["covered_lines"] + s["covered_branches"] for s in summaries)
    return 100 * covered / total if total else None


def main() -> int:
    os.chdir(ROOT)
    coverage = Coverage()
    if list(ROOT.glob("build/coverage/data.*")):
        coverage.combine()
        coverage.save()
    coverage.load()
    try:
        coverage.json_report(outfile=str(REPORT))
    except (NoDataError, NoSource) as error:
        if os.environ.get("CI"):
            print(f"nothing was measured: {error}")
            return 1
        print("nothing was measured; make test measures")
        return 0
    files = json.loads(REPORT.read_text(encoding="utf-8"))["files"]
    with (ROOT / "pyproject.toml").open("rb") as file:
        floors = tomllib.load(file)["tool"]["otelope"]["coverage-floors"]
    below = 0
    for folder, floor in floors.items():
        reached = percent(files, folder)
        if reached is None:
            print(f"{folder} has no code, but a floor in pyproject.toml")
            below += 1
        elif reached < floor:
            print(f"{folder}: {reached:.2f} % covered, the floor is {floor} %")
            coverage.report(include=f"{folder}/*")
            below += 1
    return below


if __name__ == "__main__":
    sys.exit(main())
