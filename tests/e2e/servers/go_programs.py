"""Servers that are built from Go modules: OpenTelemetry's collector, Jaeger, Google's Pub/Sub."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.servers.cache import cached
from tests.e2e.servers.processes import Missing


ROOT = Path(__file__).parents[3]
BUILDER = ROOT / "collector-config" / "builder.yaml"
JAEGER = Path(__file__).parent / "jaeger"
PUBSUB = Path(__file__).parent / "pubsub_program"
# The smallest that brings the toolchain which a module asks for by itself.
OLDEST_GO = (1, 21)
_PUBSUB_SOURCES = ("main.go", "go.mod", "go.sum")
# Linking without symbols halves what is written; without inlining and what debuggers read,
# compiling takes 30 % less processor time.
_BUILD = (
    "build",
    "-buildvcs=false",
    "-trimpath",
    "-ldflags=-s -w",
    "-gcflags=all=-l -dwarf=false",
)


def otelcol() -> Path:
    """
    The collector of ``collector-config/builder.yaml`` (55 MB).

    Raises:
        Missing: Go is.
    """
    _check_go()
    return cached("otelcol", [BUILDER], _build_collector)


def jaeger_program() -> Path:
    """
    Jaeger 2 (75 MB).

    Raises:
        Missing: Go is.
    """
    _check_go()
    return cached("jaeger", [JAEGER / "go.mod", JAEGER / "go.sum"], _build_jaeger)


def pubsub_program() -> Path:
    """
    Google's test server of Pub/Sub (14 MB).

    Raises:
        Missing: Go is.
    """
    _check_go()
    sources = [PUBSUB / name for name in _PUBSUB_SOURCES]
    return cached("pubsub", sources, _build_pubsub)


def _build_collector(scratch: Path) -> Path:
    text = BUILDER.read_text(encoding="utf-8")
    version = re.search(r"collector/cmd/builder@(v[\d.]+)", text)
    assert version, "builder.yaml says with which builder it is built"
    builder = f"go.opentelemetry.io/collector/cmd/builder@{version[1]}"
    _go(["install", builder], scratch, {"GOBIN": str(scratch)})
    shutil.copy(BUILDER, scratch)
    _run([scratch / "builder", "--config=builder.yaml", "--skip-compilation"], scratch, {})
    _go([*_BUILD, "-o", "../otelcol", "."], scratch / "_build", {})
    return scratch / "otelcol"


def _build_jaeger(scratch: Path) -> Path:
    for name in ("go.mod", "go.sum"):
        shutil.copy(JAEGER / name, scratch)
    module = "github.com/jaegertracing/jaeger/cmd/jaeger"
    _go([*_BUILD, "-o", "jaeger", module], scratch, {})
    return scratch / "jaeger"


def _build_pubsub(scratch: Path) -> Path:
    for name in _PUBSUB_SOURCES:
        shutil.copy(PUBSUB / name, scratch)
    _go([*_BUILD, "-o", "pubsub", "."], scratch, {})
    return scratch / "pubsub"


def _check_go() -> None:
    program = shutil.which("go")
    if program is None:
        raise Missing("This server is built with Go, which is not here: go.dev/dl")
    said = subprocess.run([program, "version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < OLDEST_GO:
        oldest = ".".join(map(str, OLDEST_GO))
        raise Missing(f"This server needs Go {oldest} or newer: go.dev/dl ({said})")


def _go(arguments: Sequence[str], directory: Path, env: Mapping[str, str]) -> None:
    _run(["go", *arguments], directory, env)


def _run(command: Sequence[str | Path], directory: Path, env: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=directory,
        check=False,
        env={**os.environ, "CGO_ENABLED": "0", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}")
