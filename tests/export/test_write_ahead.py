"""Records that are on disk when the call that made them returns: SIGKILL loses none of them."""

from __future__ import annotations

import random
import signal
import threading

from functools import partial

import pytest

from msgspec.structs import replace

from otelope.export import spool as spools
from otelope.export.batching import BATCH_BYTES
from tests.export.collectors import Trouble
from tests.export.ends import Ends
from tests.export.made import envelope_record
from tests.export.programs import IDLE, ended
from tests.export.test_lifecycle import PREAMBLE
from tests.export.test_spool import (
    Switch,
    end,
    eventually,
    on_disk,
    put,
    segments,
)


@pytest.fixture
def switch():
    return Switch(there=True)


@pytest.fixture
def make(make_pipeline, switch, tmp_path, monkeypatch):
    """Makes pipelines that write ahead; what they are given waits 600 s unless it is flushed."""
    monkeypatch.setattr(spools, "_ADOPTION_INTERVAL", 0.05)
    return partial(
        make_pipeline,
        connect=lambda: switch,
        spool_dir=str(tmp_path),
        durable="write-ahead",
        export_interval=600,
    )


def test_a_record_is_on_disk_when_it_is_taken(make, switch, tmp_path):
    pipeline = make()
    bodies = []
    for _ in range(5):
        bodies += put(pipeline, 1)
        assert on_disk(tmp_path) == bodies
    assert switch.requests == []
    assert len(segments(tmp_path)) == 1

    assert pipeline.flush(10)
    assert switch.bodies == bodies
    assert pipeline.counters == (5, 5, 0, 0)


def test_what_was_delivered_is_not_kept(make, switch, tmp_path):
    pipeline = make()
    put(pipeline, 5)
    assert pipeline.flush(10)
    body = put(pipeline, 1)
    assert on_disk(tmp_path) == body
    assert pipeline.shutdown(10)
    eventually(lambda: not any((tmp_path / "logs").iterdir()))
    assert len(switch.bodies) == 6


def test_full_segments_go_with_their_last_record(make, switch, tmp_path):
    held = threading.Semaphore(0)

    class OneByOne(Switch):
        def send(self, request):
            held.acquire()
            return super().send(request)

    slow = OneByOne(there=True)
    pipeline = make(connect=lambda: slow)
    bodies = put(pipeline, 12, body_bytes=1_000_000)
    assert len(segments(tmp_path)) == 4
    assert max(path.stat().st_size for path in segments(tmp_path)) <= BATCH_BYTES
    assert on_disk(tmp_path) == bodies
    held.release(2)
    eventually(lambda: slow.bodies)
    assert set(bodies) == {*slow.bodies, *on_disk(tmp_path)}
    held.release(100)
    assert pipeline.flush(10)
    eventually(lambda: len(segments(tmp_path)) == 1)
    assert sorted(slow.bodies) == sorted(bodies)


def test_during_an_outage_the_spool_takes_over(make, switch, tmp_path):
    switch.there = False
    pipeline = make(export_interval=0.01)
    bodies = put(pipeline, 5)
    eventually(lambda: pipeline.counters.spooled == 5)
    more = put(pipeline, 1)  # now what is safe elsewhere is taken out
    eventually(lambda: pipeline.counters.spooled == 6)
    assert on_disk(tmp_path).count(bodies[0]) == 1
    end(pipeline, tmp_path)
    assert sorted(on_disk(tmp_path)) == sorted(bodies + more)


def test_threads_that_write_at_once_lose_none(make, switch, tmp_path):
    pipeline = make(export_interval=0.01)
    threads = [threading.Thread(target=put, args=(pipeline, 200)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pipeline.flush(10)
    assert pipeline.counters == (1600, 1600, 0, 0)
    assert len(set(switch.bodies)) == 1600


def test_what_cannot_be_encoded_costs_no_other(make, switch):
    pipeline = make()
    put(pipeline, 1)
    pipeline(replace(envelope_record(), trace_id="no number"))
    put(pipeline, 1)
    assert not pipeline.flush(10)
    assert pipeline.counters == (3, 2, 0, 1)
    assert len(switch.bodies) == 2


def test_without_a_directory_it_says_what_to_do(make, switch, caplog):
    pipeline = make(spool_dir="")
    assert "OTELOPE_DURABLE=write-ahead has no effect without a directory" in caplog.text
    put(pipeline, 1)
    assert pipeline.flush(10)


def test_a_signal_handler_that_records_does_not_hang(make, switch):
    pipeline = make(export_interval=0.01)
    handled = []

    def record(*_):
        handled.append(put(pipeline, 1))

    before = signal.signal(signal.SIGALRM, record)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while len(handled) < 50:
            put(pipeline, 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pipeline.flush(10)
    seen, stored, spooled, dropped = pipeline.counters
    assert (stored, spooled, dropped) == (seen, 0, 0)
    assert len(set(switch.bodies)) == seen


@pytest.fixture
def run(run_program, tmp_path):
    """Runs a program that writes records ahead; they wait 600 s unless its end flushes them."""
    return partial(
        run_program,
        PREAMBLE,
        OTELOPE_SPOOL_DIR=str(tmp_path / "spool"),
        OTELOPE_DURABLE="write-ahead",
    )


class TestWrittenAhead(Ends):
    """The ways in which a process ends."""


def test_sigkill_loses_none(collector, run, tmp_path):
    child = run("put(1000); os.kill(os.getpid(), signal.SIGKILL)")
    assert ended(child)[0] == -signal.SIGKILL
    assert collector.ids == []
    code, _, err = ended(run("pipeline.resume(); put(1)"))
    assert (code, err) == (0, "")
    assert len(collector.ids) == len(set(collector.ids)) == 1001
    assert segments(tmp_path / "spool") == []


def test_os_exit_loses_none(collector, run):
    ended(run("put(10); os._exit(0)"))
    ended(run("pipeline.resume(); put(1)"))
    assert len(set(collector.ids)) == 11


def test_a_disk_that_fails_stops_nobody(collector, run):
    code, _, err = ended(
        run(
            """
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
            put(100)
            """
        )
    )
    assert code == 0
    assert len(set(collector.ids)) == 100
    assert err.count("cannot be written") == 1
    assert "File too large" in err


def test_whatever_happens_no_record_that_was_taken_is_lost(collector, run, tmp_path):
    """Processes are killed at any moment, the collector comes and goes."""
    chance = random.Random(20)
    trouble = threading.Event()
    collector.judge = lambda _: Trouble() if trouble.is_set() else None
    taken = set()
    for _ in range(6):
        children = [
            run(
                """
                pipeline.resume()
                while True:
                    record = envelope_record()
                    pipeline(record)
                    print(record.envelope.id, flush=True)
                """,
                OTELOPE_EXPORT_INTERVAL="0.01",
            )
            for _ in range(2)
        ]
        for child in children:
            taken.update(child.stdout.readline().strip() for _ in range(chance.randrange(5, 200)))
            trouble.clear() if chance.random() < 0.5 else trouble.set()
        for child in children:
            child.kill()
            lines = child.stdout.read().splitlines(keepends=True)
            taken.update(line.strip() for line in lines if line.endswith("\n"))
    trouble.clear()
    code, _, err = ended(run("pipeline.resume(); put(1)"))
    assert (code, err) == (0, "")
    assert taken - set(collector.ids) == set()
    assert segments(tmp_path / "spool") == []


APPLICATION = """
import os, signal, time
import otelope
otelope.instrument()
from kombu import Connection, Producer

def send():
    order = otelope.envelope("PlaceOrder", {"orderId": 7})
    with Connection("memory://") as connection:
        Producer(connection).publish(order.to_dict(), routing_key="orders")
    return order.id
"""


def test_a_send_that_returned_is_known_whatever_becomes_of_the_process(
    collector, run_program, tmp_path
):
    environment = {
        "OTELOPE_SPOOL_DIR": str(tmp_path / "spool"),
        "OTELOPE_DURABLE": "write-ahead",
        "OTEL_SERVICE_NAME": "shop",
    }
    child = run_program(
        APPLICATION,
        "print(send(), flush=True); os.kill(os.getpid(), signal.SIGKILL)",
        **environment,
    )
    code, out, _ = ended(child)
    assert code == -signal.SIGKILL
    assert collector.ids == []

    # It need not send anything to deliver what is there.
    child = run_program(APPLICATION, IDLE, **environment)
    collector.wait(lambda c: out.strip() in c.ids)
    child.terminate()
    assert ended(child)[0] == -signal.SIGTERM
    assert segments(tmp_path / "spool") == []
