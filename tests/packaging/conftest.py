"""The wheel, built once per run, and an environment that holds nothing but it."""

from __future__ import annotations

import fcntl
import subprocess
import sys

from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as `make dist` builds it."""
    dist = _shared(tmp_path_factory) / "dist"
    with _lock(dist):
        if not list(dist.glob("*.whl")):
            pins = ["--build-constraints", ROOT / "constraints.txt"]
            _run("uv", "build", "--quiet", "--wheel", *pins, "--out-dir", dist, ROOT)
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a virtual environment into which the wheel was installed, and nothing else."""
    venv = _shared(tmp_path_factory) / "venv"
    with _lock(venv):
        if not venv.exists():
            _run("venv", "--without-pip", venv)
            pins = ["--constraint", ROOT / "constraints.txt"]
            _run("uv", "pip", "install", "--quiet", "--python", venv / "bin/python", *pins, wheel)
    return venv / "bin"


def _shared(factory: pytest.TempPathFactory) -> Path:
    # xdist gives each worker a directory of its own below that of the run.
    directory = factory.getbasetemp()
    return directory.parent if directory.name.startswith("popen-") else directory


class _lock:  # noqa: N801 - used like a function
    def __init__(self, path: Path) -> None:
        self._file = path.with_suffix(".lock").open("w")

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _run(*command: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
