"""What the Dockerfile makes, and that it works; its steps are run without a container engine."""

from __future__ import annotations

import re
import signal
import subprocess

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import Lines
from tests.e2e.servers.clickhouse import clickhouse
from tests.packaging.image import ROOT, Images, Stage, instructions


slow = [pytest.mark.slow, pytest.mark.xdist_group("dockerfile")]
IMAGES = ("demo", "otelope")
OUTSIDE = 60


def test_what_it_stands_on_is_pinned_and_the_same_everywhere():
    begun = [value.split() for word, value in instructions() if word == "FROM"]
    (base,) = {base for base, _, _ in begun} - {name for _, _, name in begun}
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-[a-z]+", base)


def test_everything_it_installs_is_pinned():
    installs = [value for word, value in instructions() if word == "RUN" and " install" in value]
    assert installs
    for install in installs:
        assert "--constraint constraints.txt" in install or "--no-deps" in install, install
    (build,) = [value for word, value in instructions() if word == "RUN" and "uv build" in value]
    assert "--build-constraints constraints.txt" in build


def test_what_it_copies_is_let_in_and_nothing_else():
    copied = {
        source.rstrip("/")
        for word, value in instructions()
        if word == "COPY" and "--from=" not in value
        for source in value.split()[:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert "**/__pycache__" in ignore


def test_no_engine_needs_a_shell_or_root_to_run_it():
    words = {word: value for word, value in instructions() if word != "FROM"}
    assert words["USER"] == "10001:10001"
    for word in ("ENTRYPOINT", "CMD"):
        assert words[word].startswith("["), word
    assert re.search(r" CMD \[", words["HEALTHCHECK"])


def test_who_builds_without_a_target_gets_otelope():
    *_, last = (value for word, value in instructions() if word == "FROM")
    assert last.split()[-1] == "otelope"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return Images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def otelope(images: Images) -> Iterator[Stage]:
    with images.run_in("otelope") as stage:
        yield stage


@pytest.fixture
def demo(images: Images) -> Iterator[Stage]:
    with images.run_in("demo") as stage:
        yield stage


def run(images: Images, stage: Stage, *words: str, **own: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        images.command([*stage.words("ENTRYPOINT"), *words]),
        check=False,
        cwd=images.path(stage.directory),
        env=images.environment(stage, **own),
        capture_output=True,
        text=True,
        timeout=OUTSIDE,
    )


class TestOtelope:
    pytestmark = slow

    def test_says_its_version(self, images: Images, otelope: Stage):
        assert run(images, otelope, "--version").stdout.split() == ["otelope", version("otelope")]

    def test_tells_how_it_is_used(self, images: Images, otelope: Stage):
        assert "--clickhouse URL" in run(images, otelope, "up", "--help").stdout

    def test_has_no_store_of_its_own_and_says_so(self, images: Images, otelope: Stage):
        done = run(images, otelope, "up", "--grpc-port=0", "--http-port=0")
        assert done.returncode == 1
        assert "use a ClickHouse server" in done.stderr
        assert "Traceback" not in done.stderr

    def test_has_neither_installers_nor_the_demo(self, images: Images, otelope: Stage):
        packages = {
            path.name for path in images.path("/opt/otelope").glob("lib/*/site-packages/*")
        }
        assert "otelope" in packages
        assert not {"aiokafka", "chdb", "pip", "uv"} & packages
        assert not images.path("/src").exists()

    def test_leaves_the_collector_a_directory_that_it_may_write_to(
        self, images: Images, otelope: Stage
    ):
        mode = images.path("/var/lib/otelcol/queue").stat().st_mode
        assert mode & 0o7777 == 0o1777

    def test_makes_the_tables_of_a_server_and_answers_from_it(
        self, images: Images, otelope: Stage, tmp_path: Path
    ):
        with clickhouse(tmp_path / "clickhouse", user="user", password="pass word") as server:
            applied = run(images, otelope, "schema", "apply", OTELOPE_CLICKHOUSE=server.url)
            assert applied.returncode == 0, applied.stderr
            assert "done: schema" in applied.stdout
            self.serves(images, otelope, server.url)

    def serves(self, images: Images, otelope: Stage, clickhouse: str) -> None:
        # On loopback, and on ports that are free here.
        here = ["--host=127.0.0.1", "--grpc-port=0", "--http-port=0"]
        words = [*otelope.words("ENTRYPOINT"), *otelope.words("CMD"), *here]
        up = subprocess.Popen(
            images.command(words),
            env=images.environment(otelope, OTELOPE_CLICKHOUSE=clickhouse),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert up.stdout
            found = re.search(r"HTTP ([\d.:]+),", Lines(up.stdout).next())
            assert found
            assert self.health(images, otelope, found[1]) == 0
        finally:
            up.send_signal(signal.SIGTERM)
            assert up.wait(OUTSIDE) == 0
        assert self.health(images, otelope, found[1]) == 1

    def health(self, images: Images, otelope: Stage, address: str) -> int:
        words = re.findall(r'"([^"]*)"', otelope.said["HEALTHCHECK"])
        assert "http://127.0.0.1:4318/api/health" in words
        asked = [word.replace("127.0.0.1:4318", address) for word in words]
        return subprocess.run(
            images.command(asked), check=False, env=images.environment(otelope), timeout=OUTSIDE
        ).returncode


class TestDemo:
    pytestmark = slow

    def test_has_what_its_services_import(self, images: Images, demo: Stage):
        parts = "orders, payments, shipping, shop, topics"
        done = run(
            images,
            demo,
            *("-c", f"import {parts}; print(orders.app.title)"),
            SERVICE_NAME="orders",
            SERVICE_VERSION="1",
            OTEL_TRACES_EXPORTER="none",
            OTEL_METRICS_EXPORTER="none",
            OTEL_LOGS_EXPORTER="none",
        )
        assert (done.stdout, done.returncode) == ("orders\n", 0), done.stderr

    def test_is_instrumented_by_otelope(self, images: Images, demo: Stage):
        loaded = "import sys; print('otelope.instrumentor' in sys.modules)"
        done = run(images, demo, "-c", loaded, OTEL_TRACES_EXPORTER="none")
        assert done.stdout == "True\n"
