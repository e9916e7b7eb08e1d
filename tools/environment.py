"""
Make or renew a virtual environment: `python3 tools/environment.py dev|lowest`.

Standard library only: it runs on a fresh machine. A stamp named by the hash of everything that
decides the content makes the second run immediate.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple


Command = list[str | Path]

ROOT = Path(__file__).parent.parent
INPUTS = (
    "constraints.txt",
    "pyproject.toml",
    "src/otelope/adapters/table.py",
    "tools/environment.py",
)


class Environment(NamedTuple):
    """One virtual environment: where it is, what pins it, what goes in besides the project."""

    directory: str
    constraints: str
    options: tuple[str, ...]


DEV = Environment(".venv", "constraints.txt", ("--extra", "up", "--group", "dev"))
# Direct dependencies at their lower bounds: the oldest versions we promise to work with.
LOWEST = Environment(
    ".venv-lowest", "constraints-lowest.txt", ("--group", "test", "--resolution", "lowest-direct")
)
ENVIRONMENTS = {"dev": DEV, "lowest": LOWEST}
# From here on the lowest versions of some libraries have no wheels (confluent-kafka 2.3): the
# lowest that have one are tested instead, with the tools of both lists of pins.
FEW_WHEELS = (3, 13)


def ensure(environment: Environment) -> None:
    """Leave the environment installed as its inputs say."""
    venv = ROOT / environment.directory
    stamp = venv / f"installed-{_fingerprint(environment)}"
    with _locked(ROOT / "build" / f"{environment.directory.removeprefix('.')}.lock"):
        if stamp.exists():
            return
        started = time.monotonic()
        print(f"{environment.directory}: installing, {sys.version.split()[0]}", flush=True)
        # Never repaired in place: what an earlier pin left behind would still be imported.
        shutil.rmtree(venv, ignore_errors=True)
        _create(venv)
        _install(environment, venv / "bin" / "python")
        stamp.touch()
        print(f"{environment.directory}: ready in {time.monotonic() - started:.0f} s", flush=True)


def _create(venv: Path) -> None:
    made = subprocess.run([sys.executable, "-m", "venv", venv], check=False)
    if made.returncode:
        shutil.rmtree(venv, ignore_errors=True)
        sys.exit(
            "python3 -m venv does not work here (above). On Debian and Ubuntu: "
            "apt-get install python3-venv"
        )


def _install(environment: Environment, python: Path) -> None:
    newest = ROOT / "constraints.txt"
    # uv resolves and unpacks in 10 s what takes pip two minutes.
    _run([python, "-m", "pip", "install", "--quiet", "--constraint", newest, "uv"])
    install: Command = [python, "-m", "uv", "--quiet", "pip", "install", "--python", python]
    rows = subprocess.run(
        [sys.executable, ROOT / "tools/rows.py"], check=True, capture_output=True
    ).stdout
    pins: Command = ["--constraint", ROOT / environment.constraints]
    if environment is LOWEST and sys.version_info >= FEW_WHEELS:
        both = ROOT / "build/constraints-both.txt"
        both.write_text("".join(sorted(_lines(newest) & _lines(ROOT / LOWEST.constraints))))
        pins = ["--constraint", both, "--only-binary", ":all:"]
    project: Command = ["--requirement", ROOT / "pyproject.toml", *environment.options]
    _run([*install, *pins, *project, "--requirement", "-"], stdin=rows)
    _run([*install, "--build-constraints", newest, "--no-deps", "--editable", ROOT])


def _lines(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").splitlines(keepends=True))


def _run(command: Command, stdin: bytes | None = None) -> None:
    done = subprocess.run(command, check=False, input=stdin, cwd=ROOT)
    if done.returncode:
        sys.exit(f"failed, see above: {' '.join(map(str, command))}")


def _fingerprint(environment: Environment) -> str:
    digest = hashlib.sha256(f"{sys.version}{sys.executable}{ROOT.resolve()}".encode())
    for name in (environment.constraints, *INPUTS):
        # What [tool.…] says decides nothing here.
        digest.update((ROOT / name).read_bytes().partition(b"\n[tool.")[0])
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[1:]) <= set(ENVIRONMENTS):
        sys.exit(f"usage: python3 tools/environment.py {'|'.join(ENVIRONMENTS)} ...")
    if sys.version_info < (3, 10):  # noqa: UP036 - whatever python3 is here
        sys.exit(f"otelope needs Python 3.10 or newer; {sys.executable} is {sys.version}")
    os.environ.pop("PYTHONPATH", None)  # another project's packages must not look installed
    os.environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    for chosen in sys.argv[1:]:
        ensure(ENVIRONMENTS[chosen])
