"""`otelope up --clickhouse`: OTLP into a ClickHouse server, questions from there."""

from __future__ import annotations

import subprocess
import sys
import threading

from collections.abc import Iterator

import grpc
import pytest

from examples.running.ports import free_port
from otelope.model.identity import new_id
from otelope.store import Server, open_store, questions
from tests.collector.running import Running, running
from tests.e2e.servers.clickhouse import ClickHouse, clickhouse
from tests.store.made import delivery_record, envelope_record, make_tables, request


PROTOBUF = {"Content_Type": "application/x-protobuf"}
BLOCK = 600  # records: a block of its own


def options(server: ClickHouse, *more: str) -> list[str]:
    return ["--clickhouse", server.url, *more]


@pytest.fixture
def server(clickhouse_server: ClickHouse) -> ClickHouse:
    make_tables(Server.from_url(clickhouse_server.url))
    return clickhouse_server


@pytest.fixture
def up(server: ClickHouse) -> Iterator[Running]:
    with running(options(server, "--clickhouse-timeout", "1")) as daemon:
        yield daemon


def post(up: Running, *records):
    return up.ask("/v1/logs", request(*records).SerializeToString(), **PROTOBUF)


def stored(server: ClickHouse) -> set[str]:
    with open_store(server.url) as store:
        return {each["id"] for each in questions.find(store, limit=10_000)}


def rows(server: ClickHouse) -> int:
    return int(server.ask("SELECT count() FROM otelope.otel_logs"))


def test_what_is_sent_is_on_the_server_and_asked_from_there(server, up):
    child = new_id(root := new_id())
    assert post(up, envelope_record(root), delivery_record(root)).status == 200
    with up.export() as export:
        export(request(envelope_record(child, root)).SerializeToString(), timeout=30)

    assert f"data in {server.where}/otelope" in up.ready
    assert stored(server) == {root, child}
    tree = up.ask(f"/api/tree/{child}").json()
    assert tree["counts"] == {"envelopes": 2, "deliveries": 1, "failed": 0}
    assert up.ask("/api/health").json()["tables"]["otel_logs"]["rows"] == 3
    found = subprocess.run(
        [sys.executable, "-m", "otelope", "find", "--store", f"http://127.0.0.1:{up.http_port}"],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    assert child in found
    assert up.stop() == (0, "")


def test_user_and_password_come_from_the_environment_too(tmp_path, monkeypatch):
    with clickhouse(tmp_path / "guarded", user="writer", password="pass word") as server:
        make_tables(Server.from_url(server.url))
        monkeypatch.setenv("OTELOPE_CLICKHOUSE", server.where)
        monkeypatch.setenv("OTELOPE_CLICKHOUSE_USER", "writer")
        monkeypatch.setenv("OTELOPE_CLICKHOUSE_PASSWORD", "pass word")
        with running([]) as up:
            assert post(up, envelope_record(new_id())).status == 200
            assert up.stop() == (0, "")
        assert server.ask("SELECT count() FROM otelope.envelopes") == "1"


AT = ["--clickhouse", "{url}"]


@pytest.mark.parametrize(
    ("made", "arguments", "complaint"),
    [
        (True, ["--clickhouse", "http://127.0.0.1:{nobody}"], "no connection (Connection refused"),
        (True, [*AT, "--clickhouse-database", "other"], "no tables of otelope"),
        (False, AT, "make them with `otelope schema apply`"),
        (True, [*AT, "--data", "x"], "name two places to store: leave one out"),
        (True, [*AT, "--clickhouse-user", "no"], "does not let 'no' in"),
    ],
)
def test_a_start_that_cannot_be_says_why(clickhouse_server, made, arguments, complaint):
    if made:
        make_tables(Server.from_url(clickhouse_server.url))
    filled = [each.format(url=clickhouse_server.url, nobody=free_port()) for each in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "otelope", "up", "--grpc-port", "0", "--http-port", "0", *filled],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_while_the_server_is_away_senders_are_told_to_come_again(server, up):
    kept, late = envelope_record("kept-1"), envelope_record("late-1")
    assert post(up, kept).status == 200
    server.kill()

    answer = post(up, late)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    with up.export() as export, pytest.raises(grpc.RpcError) as refused:
        export(request(late).SerializeToString(), timeout=30)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "no connection (Connection refused)" in refused.value.details()
    answer = up.ask("/api/find")
    assert (answer.status, "no connection" in answer.json()["error"]) == (503, True)

    server.start()
    for _ in range(2):
        assert post(up, late).status == 200
    assert stored(server) == {"kept-1", "late-1"}
    status, said = up.stop()
    assert status == 0
    assert "1 requests are not committed: no connection (Connection refused)" in said


def test_what_a_server_took_without_a_word_is_not_stored_twice(server, up):
    block = [envelope_record(new_id()) for _ in range(BLOCK)]
    server.suspend()
    answer = post(up, *block)
    assert answer.status == 503
    assert b"no answer within 1 s" in answer.body
    # It has the block in its socket, and commits it as soon as it goes on.
    server.resume()
    assert post(up, *block).status == 200

    assert rows(server) == BLOCK
    assert len(stored(server)) == BLOCK


def test_a_server_without_the_tables_of_a_moment_ago(server, up):
    server.ask("DROP TABLE otelope.envelopes_from_logs")
    server.ask("DROP TABLE otelope.otel_logs")

    answer = post(up, envelope_record("later"))

    assert answer.status == 503
    assert b"make them with `otelope schema apply`" in answer.body


def test_on_a_cluster_a_block_is_on_the_shards_once(tmp_path):
    child = new_id(root := new_id())
    records = [envelope_record(root), envelope_record(child, root), delivery_record(child)]
    with clickhouse(tmp_path / "shards", "--cluster", "shop") as server:
        make_tables(Server.from_url(server.url), cluster="shop")
        with running(options(server)) as up:
            for _ in range(2):
                assert post(up, *records).status == 200
            assert server.ask("SELECT count() FROM otelope.otel_logs_local") == "3"
            assert up.ask(f"/api/tree/{root}").json()["counts"]["envelopes"] == 2
            assert up.stop() == (0, "")


class Sender(threading.Thread):
    """Sends block after block, each until it is acknowledged, as an exporter does."""

    def __init__(self, up: Running) -> None:
        super().__init__()
        self._up = up
        self.acknowledged: list[str] = []
        self.enough = threading.Event()
        self.taken, self.refused = threading.Semaphore(0), threading.Semaphore(0)

    def run(self) -> None:
        with self._up.export() as export:
            while not self.enough.is_set():
                ids = [new_id() for _ in range(BLOCK)]
                body = request(*map(envelope_record, ids)).SerializeToString()
                while not self.enough.is_set():
                    if self._is_taken(export, body):
                        self.acknowledged += ids
                        self.taken.release()
                        break
                    self.refused.release()

    def _is_taken(self, export, body: bytes) -> bool:
        try:
            export(body, timeout=60)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - who sends again
            return False
        return True


@pytest.mark.slow
def test_a_server_that_is_killed_again_and_again_costs_nothing_that_was_acknowledged(server, up):
    sender = Sender(up)
    sender.start()
    try:
        for _ in range(4):
            for _ in range(5):
                assert sender.taken.acquire(timeout=60)
            server.kill()
            assert sender.refused.acquire(timeout=60)
            server.start()
    finally:
        sender.enough.set()
        sender.join(60)

    acknowledged = set(sender.acknowledged)
    assert len(acknowledged) >= 20 * BLOCK
    found = set(server.ask("SELECT DISTINCT id FROM otelope.envelopes").split("\n"))
    assert acknowledged <= found
    # Of the last block nobody may have said that it was stored.
    assert len(found - acknowledged) <= BLOCK
    assert rows(server) == len(found)
