"""Processes in the fast lane that end or fork: spans and records, by two pipelines at once."""

from __future__ import annotations

import json
import time

import pytest

from tests.export.collectors import Trouble
from tests.export.ends import Ends
from tests.export.programs import UNTOLD_FORK, ended


PREAMBLE = """
import atexit, multiprocessing, os, signal, sys, threading, time
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from otelope.assembly import Parts
from otelope.core.adapter import Adapter
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.testing.messages import make

adapter = Adapter(system="test", carrier=MAPPING, sites=())
parts = Parts(TracerProvider(resource=Resource({"service.name": "child"})), None, dict)

def put(count):
    for _ in range(count):
        with parts.instrumenter.send(Message("orders", make().body), adapter):
            pass

def stored():
    return parts._spans.counters.stored

flush = parts._spans.flush
"""


@pytest.fixture
def run(run_program):
    """Runs a program that sends; what it exports waits 600 s unless the end of it flushes it."""

    def start(program, **environment):
        fast = {"OTELOPE_LANE": "fast", "OTELOPE_EXPORT_INTERVAL": "600"}
        return run_program(PREAMBLE, program, **{**fast, **environment})

    return start


class TestBothPipelines(Ends):
    """Spans and records of the same envelopes."""

    def arrived(self, collector):
        count = len(collector.span_ids)
        all_there(collector, count)
        return count

    def arrived_though_interrupted(self, collector):
        # An envelope is recorded before its span ends.
        return len(set(collector.span_ids))


def all_there(collector, count):
    assert len(collector.ids) == len(collector.span_ids) == count
    assert set(collector.ids) == set(collector.span_ids)
    assert len(set(collector.ids)) == count
    return True


def test_the_end_of_the_program_loses_none_and_the_last_word_tells_of_both(collector, run):
    code, _, err = ended(run("put(1000)"))
    assert (code, err) == (0, "")
    assert all_there(collector, 1000)
    last = json.loads(collector.named("otelope.process")[-1].body.string_value)
    counted = {"seen": 1000, "stored": 1000, "spooled": 0, "dropped": 0}
    assert (last["lane"], last["counters"], last["spans"]) == ("fast", counted, counted)
    (resource,) = {str(request.resource_spans[0].resource) for request in collector.traces}
    assert '"child"' in resource


def test_a_forked_child_delivers_its_own_and_the_parent_its_own(collector, run):
    code, _, err = ended(
        run(
            """
            put(100)
            parts._spans.flush(10)  # a live connection, and idle threads
            put(100)                # and spans that wait
            child = os.fork()
            put(50)
            if child:
                _, status = os.waitpid(child, 0)
                sys.exit(os.waitstatus_to_exitcode(status))
            """
        )
    )
    assert (code, err) == (0, "")
    assert all_there(collector, 300)


def test_a_child_whose_fork_told_python_nothing_ends_at_once_and_loses_none(collector, run):
    code, _, err = ended(
        run(
            UNTOLD_FORK
            + """
put(100)
parts._spans.flush(10)  # threads, which the children do not have
put(100)                # and spans that wait
for sent in (50, 0):
    child = untold_fork()
    if not child:
        put(sent)
        started = time.monotonic()
        parts.shutdown(5)
        os._exit(0 if time.monotonic() - started < 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
"""
        )
    )
    assert (code, err) == (0, "")
    assert all_there(collector, 250)


def test_both_pipelines_end_within_the_one_time(collector, run):
    collector.latency = 15
    child = run("print('ready', flush=True); put(10)", OTELOPE_SHUTDOWN_TIMEOUT="1")
    child.stdout.readline()
    started = time.monotonic()
    code, _, err = ended(child)
    assert code == 0
    assert time.monotonic() - started < 4
    assert "10 records could not be delivered" in err
    assert "10 spans could not be delivered" in err


@pytest.mark.parametrize("refused", ["spans", "logs"])
def test_where_one_signal_is_not_taken_the_other_is_delivered(collector, run, refused):
    collector.judge = lambda request: (
        Trouble() if hasattr(request, f"resource_{refused}") else None
    )
    code, _, err = ended(run("put(10)", OTELOPE_SHUTDOWN_TIMEOUT="1"))
    assert code == 0
    assert f"10 {'spans' if refused == 'spans' else 'records'} could not be delivered" in err
    assert len(collector.ids) == (0 if refused == "logs" else 10)
    assert len(collector.spans) == (0 if refused == "spans" else 10)


def test_a_forked_child_that_skips_its_exit_functions_loses_none(collector, run):
    code, _, err = ended(
        run(
            """
            # No grandchild: there the SDK 1.45 waits for a lock in its own hook of the fork.
            child = os.fork()
            if not child:
                put(100)
                os._exit(3)
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            """
        )
    )
    assert (code, err) == (3, "")
    assert all_there(collector, 100)
