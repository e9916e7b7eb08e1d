"""docs/cli.md is what the program says today."""

from __future__ import annotations

import subprocess
import sys

from pathlib import Path


ROOT = Path(__file__).parent.parent.parent


def test_the_page_is_fresh():
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", "--diff", "docs/cli.md"],
        check=False, capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, f"run `make format`\n{done.stdout}{done.stderr}"


def test_every_command_has_its_section():
    from otelope.cli.command import make_parser

    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    commands = make_parser()._subparsers._group_actions[0].choices
    assert set(commands) == {
        "tree", "tail", "find", "contracts", "stitch", "doctor", "up", "schema", "push",
    }  # fmt: skip
    for name in commands:
        assert f"\n## {name}\n" in page
        assert f"$ otelope {name} --help\n" in page
