"""The gates, all of them, whatever the first ones say: `make check`."""

from __future__ import annotations

import subprocess
import sys
import time

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple


ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
DOCS = [path.relative_to(ROOT) for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))]


class Gate(NamedTuple):
    """A command that exits with 0, and what to do when it does not."""

    name: str
    command: tuple[str | Path, ...]
    mend: str


def gates(sources: list[str]) -> list[Gate]:
    """The gates over these folders."""
    return [
        Gate("lint", (BIN / "ruff", "check", "--quiet", *sources), "make format mends some"),
        Gate("format", (BIN / "ruff", "format", "--check", *sources), "make format"),
        Gate("types", (BIN / "mypy",), "see the lines above"),
        Gate("layers", (BIN / "lint-imports",), "move the import, ARCHITECTURE.md says where"),
        Gate("spelling", (BIN / "codespell",), "mend the words above"),
        Gate("docs tables", (BIN / "cog", "--check", "-r", *DOCS), "make format"),
        Gate("coverage", (sys.executable, ROOT / "tools/floors.py"), "test the lines above"),
    ]


def passes(gate: Gate) -> bool:
    """Run a gate; its output only where it fails."""
    started = time.monotonic()
    done = subprocess.run(
        gate.command, check=False, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    seconds = time.monotonic() - started
    if done.returncode == 0:
        print(f"{gate.name}: ok, {seconds:.1f} s", flush=True)
        return True
    output = done.stdout.decode(errors="replace").rstrip()
    print(f"{output}\n{gate.name}: FAILED. {gate.mend}", flush=True)
    return False


if __name__ == "__main__":
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(passes, gates(sys.argv[1:])))
    sys.exit(results.count(False))
