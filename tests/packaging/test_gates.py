"""What stands in two files of the project says the same in both."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig

from importlib.metadata import distribution, distributions, entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from otelope.adapters.table import TABLE


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LONGEST_ADAPTER = 60
LOCKS = ("constraints.txt", "constraints-lowest.txt")


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_pins_and_nothing_else(lock: str):
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.]*", line), line


def test_everything_installed_here_is_pinned():
    # Not by `sys.path`, to which setuptools, where Pyramid imports it, adds what it has inside.
    where = {sysconfig.get_path(which) for which in ("purelib", "platlib")}
    found = distributions(path=list(where))
    here = {canonicalize_name(each.metadata["Name"]) for each in found}
    loose = here - set(pins("constraints.txt")) - {"otelope", "pip", "setuptools"}
    assert not loose, f"make constraints pins {', '.join(sorted(loose))}"


# Others are the standard library's, of each Python.
INSTALLED = [row for row in TABLE if row.requires]


@pytest.mark.parametrize("row", INSTALLED, ids=lambda row: row.name)
def test_the_lowest_version_tested_is_the_lowest_promised(row):
    requirement = Requirement(row.requires)
    (lowest,) = (s.version for s in requirement.specifier if s.operator == ">=")
    tested = pins("constraints-lowest.txt")[canonicalize_name(requirement.name)]
    assert (tested + ".").startswith(lowest + "."), "make constraints"


def test_the_requirements_read_without_importing_are_those_of_the_table():
    printed = subprocess.run(
        [sys.executable, ROOT / "tools/rows.py"], check=True, capture_output=True, text=True
    ).stdout
    assert sorted(printed.split()) == sorted({row.requires for row in INSTALLED})


def test_every_row_has_its_entry_point_and_every_entry_point_its_row():
    declared = {
        point.name
        for point in entry_points(group="opentelemetry_instrumentor")
        if point.dist is not None and point.dist.name == "otelope"
    }
    assert declared == {row.entry_point for row in TABLE}


def test_every_client_library_is_forbidden_outside_of_adapters():
    (contract,) = (
        c
        for c in PROJECT["tool"]["importlinter"]["contracts"]
        if c["name"] == "In the host's process only adapters import client libraries"
    )
    # These are no rows: they stand on those of botocore, Starlette, brokers' clients and urllib3.
    others = {"boto3", "fastapi", "faststream", "requests"}
    libraries = {row.imports.partition(".")[0] for row in INSTALLED}
    assert set(contract["forbidden_modules"]) == libraries | others


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_an_adapter_is_short(row):
    lines = Path(find_spec(row.module).origin).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LONGEST_ADAPTER, "the core is missing a word: see CONTRIBUTING.md"


def test_every_folder_of_code_has_a_coverage_floor():
    floors = PROJECT["tool"]["otelope"]["coverage-floors"]
    for folder in floors:
        assert (ROOT / folder).is_dir(), folder
    assert "src/otelope" in floors


def test_every_python_of_the_classifiers_is_tested():
    classifiers = distribution("otelope").metadata.get_all("Classifier") or []
    promised = {found[1] for c in classifiers if (found := re.search(r":: (3\.\d+)$", c))}
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert set(re.findall(r"3\.\d+", matrix)) == promised


def test_every_ignored_rule_is_argued():
    lint = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = lint[lint.index("[tool.ruff.lint]") : lint.index("[tool.ruff.lint.isort]")]
    for line in section.splitlines():
        if re.match(r'\s+"[A-Z]+\d*"', line) or re.match(r'"src/.*= \["', line):
            assert " # " in line, line
