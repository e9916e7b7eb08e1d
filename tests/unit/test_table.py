"""The registry: one row per library, and what is derived from it."""

from __future__ import annotations

import importlib
import sys

from pathlib import Path

import pytest

from packaging.requirements import Requirement

from otelope import instrumentor
from otelope.adapters.table import TABLE


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ADAPTERS = ROOT / "src/otelope/adapters"


def test_rows_are_the_adapters_in_order():
    modules = {
        f"{path.parent.name}.{path.stem}"
        for path in ADAPTERS.glob("*/*.py")
        if path.stem != "__init__"
    }
    names = [row.name for row in TABLE]
    assert names == sorted(names)
    assert set(names) == modules


def test_entry_points_are_the_rows():
    declared = PROJECT["project"]["entry-points"]["opentelemetry_instrumentor"]
    assert declared == {
        row.entry_point: f"otelope.instrumentor:{row.entry_point.removeprefix('otelope_')}"
        for row in TABLE
    }


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_row_has_an_adapter_a_switch_and_bounds(row):
    adapter = importlib.import_module(row.module).ADAPTER
    assert [adapter.sites, *(part.sites for _, part in adapter.parts)] != [()]
    assert callable(getattr(instrumentor, row.entry_point.removeprefix("otelope_"))().instrument)
    if row.requires:  # else it is the standard library's
        operators = {bound.operator for bound in Requirement(row.requires).specifier}
        assert operators == {">=", "<"}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_row_has_a_driver_that_covers_its_styles(row):
    name = row.name.rpartition(".")[2]
    driver = importlib.import_module(f"tests.contract.drivers.{name}")
    systems = {features.system for features in driver.STYLES.values()}
    adapter = importlib.import_module(row.module).ADAPTER
    assert systems == {each.system for each in adapter.systems}


@pytest.mark.parametrize("path", sorted(ADAPTERS.glob("*/*.py")), ids=lambda path: path.stem)
def test_adapter_is_an_answer_not_a_program(path):
    """What needs more lines than this needs a word in the core."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
