"""What `collector-config/README.md` says of the files beside it."""

from __future__ import annotations

import re

from pathlib import Path


FOLDER = Path(__file__).parents[2] / "collector-config"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
# Jaeger's own, and the recipe of the build.
OTHERS = {"builder.yaml", "jaeger-clickhouse.yaml", "jaeger-memory.yaml"}
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name not in OTHERS)


def test_it_lists_every_file():
    listed = set(re.findall(r"\]\(([\w-]+\.yaml)\)", README))
    assert {path.name for path in FILES} <= listed
    assert listed <= {path.name for path in FOLDER.glob("*.yaml")}


def test_it_lists_every_variable_with_its_defaults():
    used: dict[str, set[str]] = {}
    for path in FILES:
        for name, default in re.findall(r"\$\{env:(\w+)(?::-([^}]*))?\}", path.read_text("utf-8")):
            used.setdefault(name, set()).add(default)
    rows = re.findall(r"^\| `([A-Z]\w+)` \|([^|]*)\|", README, re.MULTILINE)
    said = {name: set(re.findall(r"`([^`]+)`", defaults)) or {""} for name, defaults in rows}
    assert said == used
