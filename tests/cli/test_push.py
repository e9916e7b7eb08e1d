"""`otelope push`, from real data directories to a real engine behind ClickHouse's interface."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import threading

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from otelope.cli.progress import Progress
from otelope.collector.otlp import log_rows
from otelope.store import open_store, statements
from tests.cli.conftest import environment, program, running_up
from tests.e2e.servers.clickhouse import ClickHouse
from tests.store.made import envelope_record, request
from tests.store.serving import Relay, relay, serving
from tests.store.stories import answers, tell


# Blocks of 8 MiB have 32 of these.
LARGE, SIZE = 80, 256_000


class Source(NamedTuple):
    """A data directory, and what is asked of it."""

    directory: Path
    answers: dict
    rows: int


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Source:
    """Some stories and, before them, enough for several blocks."""
    directory = tmp_path_factory.mktemp("filled") / "data"
    drawn = random.Random(7)
    with open_store(str(directory)) as store:
        for start in range(0, LARGE, 20):
            rows = log_rows(request(*(
                envelope_record(f"large-{start + each}", note=drawn.randbytes(SIZE // 2).hex())
                for each in range(20)
            )))  # fmt: skip
            store.ingest(rows.table, rows.data, f"large {start}")
        tell(store, 1)
        told = answers(store)
    return Source(directory, told, len(told["logs"]) + len(told["all spans"]))


@pytest.fixture
def source(filled, tmp_path) -> Source:
    """The same, to itself."""
    shutil.copytree(filled.directory, tmp_path / "source", symlinks=True)
    return filled._replace(directory=tmp_path / "source")


@pytest.fixture
def server(tmp_path) -> Iterator[ClickHouse]:
    with serving(tmp_path / "server") as running:
        yield running


@pytest.fixture
def between(server) -> Iterator[Relay]:
    with relay(server.url) as running:
        yield running


def answers_at(dsn):
    with open_store(dsn) as store:
        return answers(store)


def push(source, dsn, *options):
    return "push", "--data", str(source.directory), "--clickhouse", dsn, *options


def test_what_a_directory_holds_is_copied_and_counted(source, server, otelope):
    where = f"{server.where}/otelope"
    done = otelope(*push(source, server.url))

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"113 log records and 10 spans copied to {re.escape(where)} in [\d.]+ s\n", done.stdout
    )
    assert answers_at(server.url) == source.answers

    done = otelope(*push(source, server.url))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"nothing new: all is at {where}\n"

    done = otelope(*push(source, server.url, "--json"))
    told = json.loads(done.stdout)
    assert told.pop("seconds") > 0
    assert told == {
        "data": str(source.directory),
        "to": where,
        "copied": {"otel_logs": 0, "otel_traces": 0},
    }
    assert answers_at(server.url) == source.answers


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_an_insert_it_goes_on_and_nothing_is_twice(
    source, server, between, otelope, moment
):
    process = subprocess.Popen(program(*push(source, between.dsn)), env=environment())
    killed = threading.Event()

    def kill(insert: int) -> None:
        if insert == 2:
            process.kill()
            killed.set()

    setattr(between, moment, kill)
    assert process.wait(60) == -signal.SIGKILL
    assert killed.is_set()
    assert 0 < len(answers_at(server.url)["logs"]) < source.rows

    done = otelope(*push(source, server.url, "--json"))

    assert done.returncode == 0, done.stderr
    # The second was not known to be there, so it was sent again.
    assert 0 < sum(json.loads(done.stdout)["copied"].values()) < source.rows
    assert answers_at(server.url) == source.answers


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before an insert", "during one"])
def test_a_server_that_goes_away_stops_it_and_the_rest_follows(
    source, server, between, otelope, tmp_path, moment
):
    def kill(insert: int) -> None:
        if insert == 2 and moment == "before an insert":
            server.kill()
        elif insert == 2:
            threading.Timer(0.03, server.kill).start()

    between.before = kill
    done = otelope(*push(source, between.dsn))

    assert (done.returncode, done.stdout) == (2, "")
    found = re.fullmatch(
        rf"otelope: the push to http://127.0.0.1:\d+/otelope stopped: the connection broke .*\. "
        rf"(\d+) of {source.rows} rows are copied; the same command goes on from there\n",
        done.stderr,
    )
    assert found, done.stderr
    with serving(tmp_path / "server") as back:
        done = otelope(*push(source, back.url, "--json"))
        assert done.returncode == 0, done.stderr
        assert sum(json.loads(done.stdout)["copied"].values()) == source.rows - int(found[1])
        assert answers_at(back.url) == source.answers


@pytest.mark.slow
def test_a_server_that_has_no_space_left_is_heard_and_the_rest_follows(
    source, server, between, otelope
):
    def fill(insert: int) -> None:
        if insert == 2:
            alter("MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000")

    def alter(change: str) -> None:
        with open_store(server.url) as store:
            store._engine.run(f"ALTER TABLE otelope.otel_logs {change}")

    between.before = fill
    done = otelope(*push(source, between.dsn))
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(
        r" stopped: Code: 243\. .* \(NOT_ENOUGH_SPACE\)\. "
        r"[1-9]\d* of 123 rows are copied; the same command goes on from there\n",
        done.stderr,
    )

    alter("RESET SETTING min_free_disk_bytes_to_perform_insert")
    done = otelope(*push(source, server.url))
    assert done.returncode == 0, done.stderr
    assert answers_at(server.url) == source.answers


@pytest.mark.slow
def test_interrupted_it_says_how_far_it_came(source, server, between, otelope):
    process = subprocess.Popen(
        program(*push(source, between.dsn)), env=environment(), stderr=subprocess.PIPE, text=True
    )

    def interrupt(insert: int) -> None:
        if insert == 2:
            process.send_signal(signal.SIGINT)

    between.before = interrupt
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert re.fullmatch(r"otelope: the push to .* is interrupted\. \d+ of 123 rows are .*\n", said)
    assert otelope(*push(source, server.url)).returncode == 0
    assert answers_at(server.url) == source.answers


def test_on_a_terminal_a_bar_is_drawn_and_taken_away(source, server):
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        program(*push(source, server.url)), env=environment(TERM="xterm"), stdout=subprocess.PIPE,
        stderr=follower, text=True,
    )  # fmt: skip
    os.close(follower)
    drawn = b"".join(iter(lambda: _read(leader), b"")).decode()
    os.close(leader)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert "113 log records" in out
    lines = drawn.split("\r")
    assert lines[1] == f"copying  {'░' * 24}    0%  0 of 123 rows\x1b[K"
    assert re.fullmatch(
        r"copying  █+░*  +\d+%  \d+ of 123 rows, [\d,]+/s, .* left\x1b\[K", lines[2]
    )
    assert lines[-1] == "\x1b[K"


def test_elsewhere_a_line_is_said_every_few_seconds(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("otelope.cli.progress.time.monotonic", lambda: now[0])
    with Progress("copying", 4000, "rows") as progress:
        for _ in range(4):
            now[0] += 3
            progress.advance(1000)

    assert capsys.readouterr().err == (
        "otelope: copying: 2,000 of 4,000 rows\notelope: copying: 4,000 of 4,000 rows\n"
    )


def test_a_directory_that_is_none_or_in_use_is_said(tmp_path, server, otelope):
    done = otelope("push", "--clickhouse", server.url)
    assert done.returncode == 2
    assert f"{tmp_path}/data/otelope is no data directory of otelope: name the" in done.stderr
    assert not (tmp_path / "data").exists()

    with running_up(tmp_path / "used") as up:
        done = otelope("push", "--clickhouse", server.url, "--data", str(up.data))
    assert done.returncode == 2
    assert f"{up.data} is in use by another otelope (process {up.process.pid})" in done.stderr


def test_the_default_directory_is_that_of_up(source, server, otelope, tmp_path):
    (tmp_path / "data").mkdir()
    source.directory.rename(tmp_path / "data" / "otelope")

    done = otelope("push", OTELOPE_CLICKHOUSE=server.url)

    assert "113 log records" in done.stdout, done.stderr


def test_a_server_that_will_not_do_is_said(source, tmp_path, otelope, monkeypatch):
    def complaint(*options):
        done = otelope("push", "--data", str(source.directory), *options)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    assert "name the ClickHouse server with --clickhouse http://host:8123" in complaint()
    assert "no connection (Connection refused)" in complaint("--clickhouse", "http://127.0.0.1:9")
    with serving(tmp_path / "empty", tables=False) as empty:
        assert "make them with `otelope schema apply`" in complaint("--clickhouse", empty.url)
        wrong = empty.url.replace("pass%20word", "wrong")
        assert "user or password is wrong" in complaint("--clickhouse", wrong)
    with monkeypatch.context() as newer:
        newer.setattr(statements, "SCHEMA_VERSION", statements.SCHEMA_VERSION + 1)
        with serving(tmp_path / "newer") as server:
            assert "written by a newer otelope" in complaint("--clickhouse", server.url)
    assert not (source.directory / "pushed").exists()


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65536)
    except OSError:  # Linux's word for the end, once nobody has the other side
        return b""
