"""What the documents say is there."""

from __future__ import annotations

import re

from importlib.metadata import version
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]
PAGES = [path for root in ("*", "docs/**/*", "examples/**/*") for path in ROOT.glob(f"{root}.md")]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_links_to_files_of_the_project_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@every_page
def test_links_to_headings_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    for file, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text):
        headings = re.findall(
            r"^#+ (.+)$", (page.parent / file if file else page).read_text(), re.MULTILINE
        )
        assert anchor in {
            re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
            for heading in headings
        }


@every_page
def test_every_make_target_named_exists(page: Path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {
        t for line in re.findall(r"^([a-z -]+):", makefile, re.MULTILINE) for t in line.split()
    }
    spans = re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL)
    # As a command, not as the English word.
    command = re.compile(r"(?:^|`|\$ |; |&& )make ([a-z-]+)", re.MULTILINE)
    named = {target for span in spans for target in command.findall(span)}
    assert named <= targets


@every_page
def test_every_setting_named_exists(page: Path):
    from otelope.cli import clickhouse

    pattern = r"\bOTELOPE_[A-Z_]+\b"
    sources = [path.read_text(encoding="utf-8") for path in ROOT.glob("src/otelope/**/*.py")]
    known = {name for source in sources for name in re.findall(rf'"({pattern})"', source)}
    known.update(clickhouse.VARIABLES)
    assert set(re.findall(pattern, page.read_text(encoding="utf-8"))) <= known


@every_page
def test_python_examples_compile(page: Path):
    for example in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        compile(example, page.name, "exec")


@every_page
def test_no_page_names_a_place_of_one_machine(page: Path):
    assert not re.findall(r"(?<![\w.])/(?:work|root|home)/", page.read_text(encoding="utf-8"))


def test_the_two_commands_stand_first_in_the_readme():
    first = re.findall(
        r"^make \w+", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )[:2]
    assert first == ["make demo", "make test"]


def test_the_changelog_knows_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[?(Unreleased|[\d.]+)", changelog, re.MULTILINE)
    assert headings
    assert headings[0] in ("Unreleased", version("otelope"))
