"""
Print what the client libraries of adapters/table.py require, one per line.

Read from the source, not imported: this runs before anything is installed.
"""

from __future__ import annotations

import ast
import sys

from pathlib import Path


TABLE = Path(__file__).parent.parent / "src/otelope/adapters/table.py"


def requirements(source: str) -> list[str]:
    """The `requires` of every `Row(...)`; one, a tuple, or none for the standard library."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Row"
        ):
            named = {word.arg: word.value for word in node.keywords}
            value = ast.literal_eval(named["requires"] if "requires" in named else node.args[2])
            found += [value] if isinstance(value, str) else value
    return sorted(set(filter(None, found)))


if __name__ == "__main__":
    lines = requirements(TABLE.read_text(encoding="utf-8"))
    if not lines:
        sys.exit(f"{TABLE} has no Row: the libraries to test with cannot be known")
    print("\n".join(lines))
