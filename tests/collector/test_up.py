from __future__ import annotations

import gzip
import json
import random
import signal
import socket
import string
import subprocess
import sys

import grpc
import pytest

from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otelope.collector.daemon import MAX_REQUEST_BYTES
from otelope.model.identity import identify, new_id
from otelope.store.trees import nest
from tests.collector.running import running
from tests.store.made import delivery_record, envelope_record, process_record, request


PROTOBUF = "application/x-protobuf"


def posted(up, *records, **headers):
    body = request(*records).SerializeToString()
    return up.ask("/v1/logs", body, Content_Type=PROTOBUF, **headers)


def counts(up, envelope_id):
    return up.ask(f"/api/tree/{envelope_id}").json()["counts"]


def test_grpc_acknowledges_what_can_be_asked_for(up):
    envelope_id = new_id()
    records = [envelope_record(envelope_id), delivery_record(envelope_id)]

    with up.export() as export:
        answer = export(request(*records).SerializeToString(), timeout=60)

    assert ExportLogsServiceResponse.FromString(answer) == ExportLogsServiceResponse()
    assert counts(up, envelope_id) == {"envelopes": 1, "deliveries": 1, "failed": 0}


def test_http_takes_protobuf_and_json_plain_and_compressed(up):
    ids = [new_id() for _ in range(4)]
    bodies = [request(envelope_record(each)) for each in ids]
    as_json = []
    for each, body in zip(ids, bodies, strict=True):
        written = json_format.MessageToDict(body)
        record = written["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
        record["traceId"] = f"{identify(each).trace_id:032x}"
        record["spanId"] = f"{identify(each).span_id:016x}"
        as_json.append(json.dumps(written).encode())

    answers = [
        up.ask("/v1/logs", bodies[0].SerializeToString(), Content_Type=PROTOBUF),
        up.ask(
            "/v1/logs", gzip.compress(bodies[1].SerializeToString()),
            Content_Type=PROTOBUF, Content_Encoding="gzip",
        ),
        up.ask("/v1/logs", as_json[2], Content_Type="application/json; charset=utf-8"),
        up.ask(
            "/v1/logs", gzip.compress(as_json[3]),
            Content_Type="application/json", Content_Encoding="gzip",
        ),
    ]  # fmt: skip

    assert [answer.status for answer in answers] == [200] * 4
    assert [answer.headers["content-type"] for answer in answers] == [
        PROTOBUF, PROTOBUF, "application/json", "application/json"
    ]  # fmt: skip
    assert answers[2].json() == {}
    assert [counts(up, each)["envelopes"] for each in ids] == [1] * 4


@pytest.mark.parametrize("signal_name", ["traces", "metrics"])
def test_the_other_signals_are_taken(up, signal_name):
    assert up.ask(f"/v1/{signal_name}", b"", Content_Type=PROTOBUF).status == 200
    with up.export(signal_name) as export:
        assert export(b"", timeout=60) == b""


def test_what_no_retry_can_mend_is_refused_for_good(up):
    for body, headers, status, code in (
        (b"garbage", {"Content_Type": PROTOBUF}, 400, 3),
        (b"garbage", {"Content_Type": PROTOBUF, "Content_Encoding": "gzip"}, 400, 3),
        (
            gzip.compress(b"x" * 99)[:-9],
            {"Content_Type": PROTOBUF, "Content_Encoding": "gzip"}, 400, 3,
        ),
        (b"x", {"Content_Type": "text/plain"}, 415, 3),
        (b"x", {"Content_Type": PROTOBUF, "Content_Encoding": "br"}, 415, 3),
        (
            gzip.compress(bytes(MAX_REQUEST_BYTES + 1)),
            {"Content_Type": PROTOBUF, "Content_Encoding": "gzip"}, 413, 8,
        ),
    ):  # fmt: skip
        answer = up.ask("/v1/logs", body, **headers)
        assert answer.status == status
        assert "retry-after" not in answer.headers
        said = Status()
        if answer.headers["content-type"] == PROTOBUF:
            said.ParseFromString(answer.body)
        assert said.code == code
        assert said.message

    answer = up.ask("/v1/logs", b"{", Content_Type="application/json")
    assert (answer.status, answer.json()["code"]) == (400, 3)
    assert up.ask("/v1/logs").status == 405

    with up.export() as export, pytest.raises(grpc.RpcError) as refused:
        export(b"garbage", timeout=60)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_request_that_is_too_large_is_refused_before_it_is_read_whole(up):
    with socket.create_connection(("127.0.0.1", up.http_port), 60) as connection:
        connection.sendall(
            b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf"
            b"\r\nContent-Length: 1000000000000\r\n\r\n"
        )
        sent = 0
        # Far less than a terabyte: it answers when the limit is passed.
        while sent <= MAX_REQUEST_BYTES + 65_536:
            sent += connection.send(bytes(65_536))
        assert connection.recv(12) == b"HTTP/1.1 413"

    with up.export() as export, pytest.raises(grpc.RpcError) as refused:
        export(bytes(MAX_REQUEST_BYTES + 1), timeout=60)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_questions(up):
    root = new_id()
    child = new_id(root)
    posted(
        up,
        envelope_record(root, type="Asked"),
        envelope_record(child, root, type="Asked", at=5),
        delivery_record(root, outcome="error"),
        process_record(counters={"seen": 2}),
    )

    tree = up.ask(f"/api/tree/{child}").json()
    assert tree["root"]["children"][0]["id"] == child
    assert nest(up.ask(f"/api/tree/{child}?flat=1").json()) == tree
    assert up.ask("/api/tree/abcde").status == 400
    unknown = up.ask(f"/api/tree/{new_id()}")
    assert (unknown.status, unknown.json()["error"][:19]) == (404, "Nothing is known of")

    found = up.ask("/api/find?type=Asked&failed=true&since=2020-01-01T00:00:00Z").json()
    assert [each["id"] for each in found] == [root]
    assert up.ask("/api/find?since=yesterday").status == 400
    assert up.ask("/api/find?limit=-1").status == 400

    page = up.ask("/api/tail?last=5").json()
    assert {"envelope", "failure"} <= {each["what"] for each in page["items"]}
    cursor = page["cursor"].replace(" ", "").replace('"', "%22")
    assert up.ask(f"/api/tail?after={cursor}").json()["items"] == []
    assert up.ask("/api/processes").json()[0]["status"] == {"counters": {"seen": 2}}
    assert up.ask(f"/api/envelope/{root}").json()["type"] == "Asked"
    assert up.ask("/api/health").json()["status"] == "ok"
    assert up.ask("/api/nothing").status == 404


def test_an_ambiguous_prefix_lists_candidates(up):
    posted(up, envelope_record("twin-1-a", at=1), envelope_record("twin-1-b", at=2))

    answer = up.ask("/api/tree/twin-1")

    assert answer.status == 300
    assert [each["id"] for each in answer.json()["candidates"]] == ["twin-1-b", "twin-1-a"]


def test_other_names_for_this_address_are_refused(up):
    """A web page that gives its own name our address (DNS rebinding) must not read the store."""
    assert up.ask("/api/health", Host="localhost:1").status == 200
    assert up.ask("/api/health", Host="evil.example").status == 421
    answer = up.ask("/api/health", Origin="http://evil.example")
    assert not any("access-control" in name.lower() for name in answer.headers)


def command(*options):
    return subprocess.run(
        [sys.executable, "-m", "otelope", "up", *options],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_says_why_it_cannot_start(up, tmp_path):
    free = ("--grpc-port", "0", "--http-port", "0")
    owner = up.process.pid
    data = up.ready.rpartition("data in ")[2].strip()
    (tmp_path / "file").write_text("")

    for options, message in (
        ((*free, "--data", data), f"in use by another otelope (process {owner})"),
        ((*free, "--data", str(tmp_path / "file")), "cannot be written"),
        (
            ("--data", str(tmp_path / "a"), "--grpc-port", "0", "--http-port", str(up.http_port)),
            "--http-port",
        ),
        (
            ("--data", str(tmp_path / "b"), "--http-port", "0", "--grpc-port", str(up.grpc_port)),
            "--grpc-port",
        ),
        ((*free, "--data", str(tmp_path / "c"), "--host", "192.0.2.1"), "not this machine's"),
    ):
        failed = command(*options)
        assert failed.returncode == 1
        assert failed.stdout == ""
        assert failed.stderr.startswith("otelope: ")
        assert failed.stderr.count("\n") == 1
        assert message in failed.stderr


def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_kept(tmp_path):
    """A limit to the size of files stands for the disk: the commit fails, not the insert."""
    small, large = new_id(), new_id()
    noise = "".join(random.choices(string.printable[:90], k=3_000_000))
    with running(tmp_path, file_size=1_000_000) as daemon:
        with daemon.export() as export:
            refused = export.future(
                request(envelope_record(large, noise=noise)).SerializeToString(), timeout=60
            ).exception()
            export(request(envelope_record(small)).SerializeToString(), timeout=60)
        assert refused.code() is grpc.StatusCode.UNAVAILABLE
        assert posted(daemon, envelope_record(large, noise=noise)).status == 503
        assert counts(daemon, small)["envelopes"] == 1
        assert daemon.ask(f"/api/tree/{large}").status == 404
        status, errors = daemon.stop()

    assert status == 0
    assert errors.count("not committed") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_commits_what_has_arrived(tmp_path, number):
    ids = [new_id() for _ in range(20)]
    with running(tmp_path) as daemon:
        with daemon.export() as export:
            calls = [
                export.future(request(envelope_record(each)).SerializeToString(), timeout=60)
                for each in ids
            ]
            calls[0].result()
            daemon.process.send_signal(number)
            acknowledged = [
                each for each, call in zip(ids, calls, strict=True) if call.exception() is None
            ]
        assert daemon.stop() == (0, "")

    assert acknowledged
    with running(tmp_path) as daemon:
        assert [counts(daemon, each)["envelopes"] for each in acknowledged] == [1] * len(
            acknowledged
        )
        assert daemon.stop() == (0, "")
