"""What somebody gets who installs otelope, and what not."""

from __future__ import annotations

import json
import os
import re
import subprocess

from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import pytest

from packaging.requirements import Requirement

from otelope.adapters.table import TABLE


ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/otelope"
pytestmark = pytest.mark.slow

# All that a base install brings, so that whoever adds to it decides to.
BASE_INSTALL = {
    "certifi",
    "charset-normalizer",
    "googleapis-common-protos",
    "grpcio",
    "idna",
    "msgspec",
    "opentelemetry-api",
    "opentelemetry-distro",
    "opentelemetry-exporter-http-transport",
    "opentelemetry-exporter-otlp",
    "opentelemetry-exporter-otlp-common",
    "opentelemetry-exporter-otlp-proto-common",
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-instrumentation",
    "opentelemetry-proto",
    "opentelemetry-sdk",
    "opentelemetry-semantic-conventions",
    "otelope",
    "packaging",
    "protobuf",
    "requests",
    "typing-extensions",
    "urllib3",
    "wrapt",
}


def run(*command: str | Path, **env: str) -> str:
    # Outside of the checkout, and without what points back into it.
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **env}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd="/", env=clean, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path):
    packed = {n for n in ZipFile(wheel).namelist() if ".dist-info/" not in n}
    source = {
        f"otelope/{path.relative_to(SOURCE).as_posix()}"
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == source
    assert "otelope/py.typed" in packed
    assert any(name.startswith("otelope/store/sql/") for name in packed)


def test_the_wheel_brings_its_licence(wheel: Path):
    archive = ZipFile(wheel)
    (licence,) = (name for name in archive.namelist() if name.endswith("licenses/LICENSE"))
    assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_a_base_install_stays_light(empty_environment: Path):
    listed = run(
        empty_environment / "python",
        "-c",
        "import importlib.metadata as m, json;"
        "print(json.dumps([d.metadata['Name'] for d in m.distributions()]))",
    )
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in json.loads(listed)}
    assert installed == BASE_INSTALL


def test_it_imports_and_brings_its_public_names(empty_environment: Path):
    run(
        empty_environment / "python",
        "-W",
        "error",
        "-c",
        "import otelope; assert all(getattr(otelope, name) for name in otelope.__all__)",
    )


def test_instrumenting_imports_no_client_library(empty_environment: Path):
    """The other half, with the libraries there, is in the contract: here none of them is."""
    loaded = run(
        empty_environment / "python",
        "-c",
        "import sys, otelope; otelope.instrument(); print(*sys.modules)",
    ).split()
    assert not {row.package for row in TABLE if row.requires} & set(loaded)
    assert not {"chdb", "clickhouse_connect"} & set(loaded)


def test_the_command_works(empty_environment: Path):
    assert run(empty_environment / "otelope", "--version").split() == [
        "otelope",
        version("otelope"),
    ]


def test_what_needs_the_extra_says_so(empty_environment: Path):
    done = subprocess.run(
        [empty_environment / "otelope", "up"],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
    )
    assert done.returncode != 0
    assert "otelope[up]" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_application_started_by_opentelemetry_instrument_is_prepared(
    empty_environment: Path,
):
    loaded = run(
        empty_environment / "opentelemetry-instrument",
        empty_environment / "python",
        "-c",
        "import sys; print('otelope.instrumentor' in sys.modules)",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )
    assert loaded.strip() == "True"


def test_the_metadata_names_ranges_and_not_pins(wheel: Path):
    archive = ZipFile(wheel)
    (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    lines = archive.read(name).decode().splitlines()
    requirements = [Requirement(line[15:]) for line in lines if line.startswith("Requires-Dist: ")]
    assert requirements
    for requirement in requirements:
        assert any(s.operator == ">=" for s in requirement.specifier), requirement
        assert not any(s.operator == "==" for s in requirement.specifier), requirement
