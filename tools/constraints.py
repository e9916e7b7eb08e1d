"""
Renew constraints.txt and constraints-lowest.txt: `make constraints`.

What is pinned there already stays unless it no longer fits; `--upgrade` renews everything.
"""

from __future__ import annotations

import re
import subprocess
import sys

from pathlib import Path


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


ROOT = Path(__file__).parent.parent
NEWEST = ("--python-version=3.10", "--extra=up", "--group=dev")
# 3.11: the interpreter for which all lowest versions have wheels.
LOWEST = ("--python-version=3.11", "--group=test", "--resolution=lowest-direct")


def plain(compiled: str) -> list[str]:
    """
    The pins without their markers: a pin of what is not installed does no harm.

    Raises:
        ValueError: A name has two versions.
    """
    pins: dict[str, str] = {}
    for line in compiled.splitlines():
        if not line or line.startswith(("#", "-")):
            continue
        name, version = line.split(";")[0].strip().split("==")
        if pins.setdefault(name, version) != version:
            raise ValueError(f"{name} has two versions, {pins[name]} and {version}: bound it")
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def tools() -> set[str]:
    """The names in the dependency group of that name."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {re.split(r"[<>=;\[ ]", entry)[0] for entry in groups["dependency-groups"]["tools"]}


def renew(name: str, options: tuple[str, ...], requirements: str) -> list[str]:
    """Resolve one file anew; its pins."""
    path = ROOT / name
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if options is LOWEST:
        # uv keeps a pin that still fits, but a lowest version has to be the lowest.
        path.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"),
        *("--fork-strategy=fewest", "--no-header", "--no-annotate"),
        *(*options, *sys.argv[1:], f"--output-file={path}", "pyproject.toml", "-"),
    ]
    done = subprocess.run(command, check=False, cwd=ROOT, input=requirements.encode())
    if done.returncode:
        path.write_text(before, encoding="utf-8")
        sys.exit(f"{name} is unchanged: the requirements do not fit together (above)")
    pins = plain(path.read_text(encoding="utf-8"))
    path.write_text("\n".join(pins) + "\n", encoding="utf-8")
    print(f"{name}: {len(pins)} pins")
    return pins


def main() -> None:
    rows = subprocess.run(
        [sys.executable, ROOT / "tools/rows.py"], check=True, capture_output=True, text=True
    ).stdout
    newest = renew("constraints.txt", NEWEST, rows)
    same = "\n".join(pin for pin in newest if pin.split("==")[0] in tools())
    renew("constraints-lowest.txt", LOWEST, f"{rows}\n{same}\n")


if __name__ == "__main__":
    main()
