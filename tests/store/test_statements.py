from __future__ import annotations

import ast
import re

from pathlib import Path

import otelope.store

from otelope.model import semconv
from otelope.store import statements


STORE = Path(otelope.store.__file__).parent
SOURCES = [*STORE.glob("*.py"), *(STORE.parent / "stitch").glob("*.py")]
ASKING = {"ask": 0, "_ask": 0, "_kin": 0, "_stored_after": 1, "_rows": 1, "query": 0}


def test_each_question_has_a_file_and_each_file_is_asked():
    files = {path.stem for path in (STORE / "sql" / "queries").glob("*.sql")}

    assert asked() == files


def test_each_insert_has_a_table():
    tables = {path.stem.partition("_")[2] for path in (STORE / "sql" / "schema").glob("*.sql")}

    for path in (STORE / "sql" / "inserts").glob("*.sql"):
        assert path.stem in tables
        assert statements.insert(path.stem).startswith(f"INSERT INTO {path.stem}")


def test_attribute_names_stand_in_one_place():
    own = [value for name, value in vars(semconv).items() if name.isupper()]

    for path in (STORE / "sql").rglob("*.sql"):
        text = path.read_text()
        for value in own:
            # "otelope" itself is the name of the scope.
            assert value == semconv.SCOPE or f"'{value}'" not in text, path.name
        for name in re.findall(r"\$(\w+)", text):
            assert hasattr(semconv, name), (path.name, name)


def test_each_file_holds_one_statement_and_says_what_for():
    for path in (STORE / "sql" / "queries").glob("*.sql"):
        text = path.read_text()
        assert text.startswith("-- "), path.name
        assert ";" not in text.split("SELECT", 1)[1], path.name


def asked() -> set[str]:
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(
                node.func, ast.Attribute | ast.Name
            ):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            position = ASKING.get(name)
            if position is not None and isinstance(node.args[position], ast.Constant):
                found.add(node.args[position].value)
    return found
