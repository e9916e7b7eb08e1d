"""What waits on disk: during an outage, beyond the end of the process, whatever the disk does."""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
import socket
import threading

from functools import partial

import httpx
import pytest

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otelope.export import spool as spools
from otelope.export.batching import BATCH_BYTES
from otelope.export.request import Request as Wrap
from otelope.export.request import entry, read_requests
from otelope.export.segments import leases_left
from otelope.export.signals import TRACES
from otelope.export.transport import Refused, Unavailable
from tests.export.collectors import HttpCollector, Request, Traces
from tests.export.conftest import point_to
from tests.export.ends import Ends
from tests.export.made import ended_span, envelope_record
from tests.export.programs import ended, programs
from tests.export.test_lifecycle import PREAMBLE


class Switch:
    """A transport that is told whether the collector is there."""

    def __init__(self, there=False):
        self.there = there
        self.requests = []

    def send(self, request):
        if not self.there:
            raise Unavailable("switched off")
        self.requests.append(Request.FromString(request))
        return 0

    def close(self):
        pass

    @property
    def bodies(self):
        return [text for request in self.requests for text in bodies_in(request)]

    @property
    def services(self):
        return {
            (logs.resource.attributes[0].value.string_value, text)
            for request in self.requests
            for logs in request.resource_logs
            for text in bodies_in(Request(resource_logs=[logs]))
        }


def bodies_in(request):
    return [
        record.body.string_value
        for logs in request.resource_logs
        for scope in logs.scope_logs
        for record in scope.log_records
        if record.event_name != "otelope.process"
    ]


def segments(folder, signal="logs"):
    return sorted((folder / signal).glob("*/*.otlp"), key=lambda path: path.name)


def on_disk(folder):
    """The bodies of all records that are on disk, read as anybody would."""
    return [
        text
        for path in segments(folder)
        for text in bodies_in(Request.FromString(path.read_bytes()))
    ]


def put(pipeline, count, **made):
    """Put records; their bodies."""
    records = [envelope_record(**made) for _ in range(count)]
    for record in records:
        pipeline(record)
    return [record.envelope.text.decode() for record in records]


def end(pipeline, folder):
    """End a pipeline, and wait until another may have what it left on disk."""
    pipeline.shutdown(5)
    eventually(lambda: [lease.leave() for lease in leases_left(folder / "logs")])


@pytest.fixture
def switch():
    return Switch()


@pytest.fixture
def make(make_pipeline, switch, tmp_path, monkeypatch):
    """Makes pipelines that keep on disk what the switched off collector does not take."""
    monkeypatch.setattr(spools, "_ADOPTION_INTERVAL", 0.05)

    def make_one(**options):
        return make_pipeline(
            **{
                "connect": lambda: switch,
                "spool_dir": str(tmp_path),
                "status": dict,
                "export_interval": 0.01,
                **options,
            }
        )

    return make_one


def eventually(condition, timeout=20):
    """Wait until it holds; nothing tells of files but looking."""
    pause = threading.Event()
    for _ in range(int(timeout / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("waited in vain")


def test_during_an_outage_everything_leaves_memory_for_the_disk(make, switch, tmp_path):
    pipeline = make()
    bodies = []
    for count in range(1, 4):
        bodies += put(pipeline, 1)
        eventually(lambda count=count: pipeline.counters == (count, 0, count, 0))
    assert pipeline._exporter.queue.bytes == 0
    assert on_disk(tmp_path) == bodies

    switch.there = True
    assert pipeline.flush(10)
    assert pipeline.counters == (3, 3, 0, 0)
    assert sorted(switch.bodies) == sorted(bodies)
    assert segments(tmp_path) == []


def test_what_comes_little_by_little_shares_a_segment(make, tmp_path):
    pipeline = make()
    for count in range(1, 21):
        put(pipeline, 1)
        eventually(lambda count=count: pipeline.counters.spooled == count)
    # Those that were being sent when their turn came are by themselves.
    assert len(segments(tmp_path)) < 10


def test_a_segment_is_at_most_one_batch(make, switch, tmp_path):
    pipeline = make()
    bodies = put(pipeline, 20, body_bytes=1_000_000)
    eventually(lambda: pipeline.counters.spooled == 20)
    assert max(path.stat().st_size for path in segments(tmp_path)) <= BATCH_BYTES
    assert sorted(on_disk(tmp_path)) == sorted(bodies)
    switch.there = True
    assert pipeline.flush(20)
    assert sorted(switch.bodies) == sorted(bodies)


def test_only_its_owner_reads_what_is_on_disk(make, tmp_path):
    pipeline = make(spool_dir=str(tmp_path / "spool"))
    put(pipeline, 1)
    eventually(lambda: segments(tmp_path / "spool"))
    for path in (tmp_path / "spool").rglob("*"):
        assert not path.stat().st_mode & 0o077, path
    assert not (tmp_path / "spool" / "logs").stat().st_mode & 0o077


def test_the_end_does_not_wait_for_what_is_on_disk(make, tmp_path, caplog):
    pipeline = make(export_interval=600)
    bodies = put(pipeline, 5)
    assert not pipeline.shutdown(5)
    assert pipeline.counters == (5, 0, 5, 0)
    assert on_disk(tmp_path) == bodies
    assert f"5 records wait in {tmp_path}" in caplog.text
    assert "lost" not in caplog.text


def test_the_next_process_delivers_them_as_what_they_were(make, switch, tmp_path):
    first = make(resource={"service.name": "shop"})
    bodies = put(first, 5)
    first.shutdown(5)
    switch.there = True

    second = make(resource={"service.name": "stock"})
    second.resume()

    eventually(lambda: second.counters == (5, 5, 0, 0))
    assert switch.services == {("shop", body) for body in bodies}
    eventually(lambda: not any((tmp_path / "logs").iterdir()))


def test_what_is_left_comes_before_what_is_new(make, switch, tmp_path):
    first = make(export_interval=600)
    old = put(first, 5)
    end(first, tmp_path)
    second = make(export_interval=600)
    second.resume()
    eventually(lambda: second.failure)
    new = put(second, 5)
    switch.there = True
    assert second.flush(10)
    assert switch.bodies == old + new


def test_nothing_left_starts_no_thread(make, tmp_path):
    pipeline = make()
    pipeline.resume()
    assert not pipeline._exporter._starting.locked()
    shutil.rmtree(tmp_path)
    pipeline.resume()
    assert not pipeline._exporter._starting.locked()


def test_what_a_living_process_keeps_is_not_taken_from_it(make, switch, tmp_path):
    first = make()
    bodies = put(first, 5)
    eventually(lambda: first.counters.spooled == 5)
    second = make(connect=lambda: Switch(there=True))
    put(second, 1)
    assert second.flush(10)
    assert second.counters == (1, 1, 0, 0)
    assert on_disk(tmp_path) == bodies


def test_a_process_that_runs_takes_over_from_one_that_ended(make, switch):
    second = make(connect=lambda: Switch(there=True))
    put(second, 1)
    assert second.flush(10)
    first = make()
    put(first, 5)
    first.shutdown(5)
    eventually(lambda: second.counters == (6, 6, 0, 0))


def test_what_is_on_its_way_when_the_process_ends_is_on_disk(
    make_pipeline, switch, tmp_path, monkeypatch
):
    # A collector that takes connections, and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://localhost:{server.getsockname()[1]}"
        )
        pipeline = make_pipeline(spool_dir=str(tmp_path))
        bodies = put(pipeline, 5)
        connection, _ = server.accept()
        assert not pipeline.shutdown(0.5)
        assert pipeline.counters == (5, 0, 5, 0)
        assert on_disk(tmp_path) == bodies
        connection.close()


def test_what_a_slow_collector_leaves_in_the_queue_goes_to_disk(
    make_pipeline, collector, tmp_path
):
    collector.latency = 0.2
    pipeline = make_pipeline(spool_dir=str(tmp_path), queue_bytes=10_000_000)
    for _ in range(30):
        put(pipeline, 1, body_bytes=1_000_000)
        eventually(lambda: pipeline._exporter.queue.bytes < 8_000_000)
    assert pipeline.flush(30)
    assert pipeline.counters == (30, 30, 0, 0)
    assert len(set(collector.ids)) == 30


def test_of_a_batch_only_what_did_not_arrive_stays(make, switch, tmp_path):
    class HalfTheWay(Switch):
        """Refuses the whole, takes one half, is away for the other."""

        def send(self, request):
            count = len(bodies_in(Request.FromString(request)))
            if not count:
                return 0
            if count == 4:
                raise Refused("too much")
            self.there = not self.requests
            return super().send(request)

    first = make(export_interval=600)
    bodies = put(first, 4)
    first.shutdown(5)
    half = HalfTheWay()
    second = make(connect=lambda: half)
    second.resume()
    eventually(lambda: second.counters == (4, 2, 2, 0))
    assert half.bodies == bodies[:2]
    assert on_disk(tmp_path) == bodies[2:]
    second.shutdown(1)
    switch.there = True
    third = make()
    third.resume()
    eventually(lambda: third.counters == (2, 2, 0, 0))
    assert switch.bodies == bodies[2:]


def test_spans_of_the_fast_lane_wait_on_disk_too(make_pipeline, collector, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1")
    first = make_pipeline(signal=TRACES, spool_dir=str(tmp_path))
    span = ended_span()
    first(span)
    first.shutdown(5)
    (segment,) = segments(tmp_path, "traces")
    (of_resource,) = Traces.FromString(segment.read_bytes()).resource_spans
    assert of_resource.scope_spans[0].spans[0].name == span.name
    point_to(monkeypatch, collector)
    second = make_pipeline(signal=TRACES, spool_dir=str(tmp_path))
    second.resume()
    collector.wait(lambda c: len(c.spans) == 1)
    eventually(lambda: second.counters == (1, 1, 0, 0))


class TestTheDisk:
    """What it does to us."""

    def test_beyond_the_limit_the_rest_waits_in_memory(
        self, make, switch, tmp_path, caplog, monkeypatch
    ):
        monkeypatch.setattr(spools, "_SIZE_INTERVAL", 0)
        pipeline = make(spool_bytes=10_000)
        bodies = []
        for count in (1, 2):
            bodies += put(pipeline, 1, body_bytes=6_000)
            eventually(lambda count=count: pipeline.counters.spooled == count)
        bodies += put(pipeline, 3)
        eventually(lambda: "(it is full)" in caplog.text)
        assert on_disk(tmp_path) == bodies[:2]
        assert pipeline.counters == (5, 0, 2, 0)
        assert (
            json.loads(LogRecord.FromString(pipeline._process_record()).body.string_value)[
                "spool_failure"
            ]
            == "it is full"
        )
        switch.there = True
        assert pipeline.flush(10)
        assert sorted(switch.bodies) == sorted(bodies)
        assert caplog.text.count("it is full") == 1

    def test_a_directory_that_cannot_be_is_named_at_once(self, make, switch, tmp_path, caplog):
        (tmp_path / "file").touch()
        pipeline = make(spool_dir=str(tmp_path / "file"))
        assert f"{tmp_path / 'file' / 'logs'} cannot be used (Not a directory)" in caplog.text
        put(pipeline, 1)
        switch.there = True
        assert pipeline.flush(10)

    def test_a_directory_that_vanishes_is_made_again(self, make, switch, tmp_path):
        pipeline = make(spool_dir=str(tmp_path / "spool"))
        put(pipeline, 1)
        eventually(lambda: pipeline.counters.spooled == 1)
        shutil.rmtree(tmp_path / "spool")
        eventually(lambda: pipeline.counters == (1, 0, 0, 1))
        bodies = put(pipeline, 2)
        eventually(lambda: on_disk(tmp_path / "spool") == bodies)
        switch.there = True
        assert pipeline.flush(10)
        assert switch.bodies == bodies
        assert pipeline.counters == (3, 2, 0, 1)

    def test_one_without_locks_is_told_and_not_used(
        self, make, switch, tmp_path, caplog, monkeypatch
    ):
        def refuse(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        pipeline = make()
        bodies = put(pipeline, 2)
        eventually(lambda: "(No locks available)" in caplog.text)
        switch.there = True
        assert pipeline.flush(10)
        assert switch.bodies == bodies
        assert len(list((tmp_path / "logs").iterdir())) == 1

    def test_an_unfinished_write_is_passed_over(self, make, switch, tmp_path, caplog):
        first = make(export_interval=600)
        bodies = put(first, 5)
        first.shutdown(5)
        (segment,) = segments(tmp_path)
        whole = segment.read_bytes()
        segment.write_bytes(whole + whole[:-1])
        switch.there = True
        second = make()
        second.resume()
        eventually(lambda: second.counters == (5, 5, 0, 0))
        assert switch.bodies == bodies
        assert f"5 records are read, the last {len(whole) - 1} bytes are none" in caplog.text

    def test_what_is_no_segment_is_set_aside(self, make, switch, tmp_path, caplog):
        folder = tmp_path / "logs" / "1-left"
        folder.mkdir(parents=True)
        (folder / "00000000000000000001.otlp").write_bytes(bytes(100))
        (folder / "00000000000000000002.otlp").touch()
        (folder / "00000000000000000003.part").write_bytes(b"unfinished")
        switch.there = True
        pipeline = make()
        pipeline.resume()
        eventually(lambda: [p.name for p in folder.iterdir()] == ["00000000000000000001.damaged"])
        assert "0 records are read, the last 100 bytes are none" in caplog.text
        put(pipeline, 1)
        assert pipeline.flush(10)


@pytest.fixture
def run(run_program, tmp_path):
    """Runs a program that puts records, and keeps them on disk."""
    return partial(run_program, PREAMBLE, OTELOPE_SPOOL_DIR=str(tmp_path / "spool"))


class TestSpooled(Ends):
    """The ways in which a process ends."""


NOWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:1"}


def test_an_outage_and_sigkill_lose_none(collector, run, tmp_path):
    child = run(
        """
        put(1000)
        flush(1)
        put(10)
        while pipeline.counters.spooled < 1010:
            time.sleep(0.01)
        print("kept", flush=True)
        signal.pause()
        """,
        OTELOPE_EXPORT_INTERVAL="0.01",
        **NOWHERE,
    )
    assert child.stdout.readline() == "kept\n"
    child.kill()
    child.wait()
    assert len(on_disk(tmp_path / "spool")) == 1010
    assert collector.ids == []

    code, _, err = ended(run("pipeline.resume(); put(1)"))
    assert (code, err) == (0, "")
    assert len(collector.ids) == len(set(collector.ids)) == 1011
    assert segments(tmp_path / "spool") == []


def test_a_full_disk_loses_none(collector, run):
    # What a file may hold is limited, as a disk is; Python ignores the signal that comes with it.
    code, _, err = ended(
        run(
            """
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
            good, Pipeline._connect = pipeline._connect, None
            class Away:
                def send(self, request):
                    if away:
                        raise Unavailable("switched off")
                    return there.send(request)
                def close(self):
                    there.close()
            from otelope.export.transport import Unavailable
            away, there = True, good()
            pipeline._connect = Away
            put(1)
            flush(1)
            put(100)
            flush(1)
            away = False
            sys.exit(0 if flush(10) and stored() == 101 else 1)
            """,
            OTELOPE_EXPORT_INTERVAL="0.01",
        )
    )
    assert code == 0, err
    assert len(set(collector.ids)) == 101
    assert err.count("File too large") == 1


def test_a_forked_child_keeps_nothing_of_its_dead_parents(collector, run, tmp_path):
    child = run(
        """
        put(10)
        while pipeline.counters.spooled < 10:
            flush(0.1)
        if not os.fork():
            print("forked", flush=True)
            signal.pause()
        signal.pause()
        """,
        **NOWHERE,
    )
    assert child.stdout.readline() == "forked\n"
    child.kill()
    child.wait()
    code, _, err = ended(run("pipeline.resume(); put(1)"))
    assert (code, err) == (0, "")
    assert len(set(collector.ids)) == 11


def test_what_no_process_is_left_to_deliver_can_be_posted_by_hand(tmp_path):
    with programs(tmp_path) as run:
        ended(run(PREAMBLE, "put(10)", OTELOPE_SPOOL_DIR=str(tmp_path / "spool"), **NOWHERE))
    (segment,) = segments(tmp_path / "spool")
    there = HttpCollector()
    there.start()
    try:
        headers = {"Content-Type": "application/x-protobuf"}
        answer = httpx.post(
            f"{there.endpoint}/v1/logs", content=segment.read_bytes(), headers=headers
        )
    finally:
        there.stop()
    assert answer.status_code == 200
    (logs,) = there.requests[0].resource_logs
    assert logs.resource.attributes[0].value.string_value == "child"
    assert len(set(there.ids)) == 10


@given(
    st.lists(
        st.tuples(st.binary(max_size=20), st.lists(st.binary(max_size=200), max_size=4)),
        max_size=4,
    )
)
def test_requests_are_read_as_they_were_written(written):
    requests = [
        Wrap(resource, b"scope", b"schema")([entry(message) for message in messages])
        for resource, messages in written
    ]
    found = list(read_requests(b"".join(requests)))
    assert [request(entries) for request, entries, _ in found] == requests
    ends = [sum(map(len, requests[: n + 1])) for n in range(len(requests))]
    assert [end for _, _, end in found] == ends
