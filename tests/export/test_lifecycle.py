"""Processes that end in every way a process ends: they put records, the collector counts."""

from __future__ import annotations

import signal
import time

from functools import partial

import pytest

from tests.export.ends import Ends
from tests.export.programs import IDLE, UNTOLD_FORK, ended


PREAMBLE = """
import atexit, multiprocessing, os, signal, sys, threading, time
from otelope.core.settings import Settings
from otelope.export.lifecycle import Lifecycle
from otelope.export.pipeline import Pipeline
from tests.export.made import envelope_record, kind

settings = Settings.from_environment({"OTELOPE_EXPORT_INTERVAL": "600", **os.environ})
pipeline = Pipeline.of_records(settings, lambda: {"service.name": "child"}, kind, dict)
lifecycle = Lifecycle(pipeline, settings.shutdown_timeout)
lifecycle.install()

def put(count):
    for _ in range(count):
        pipeline(envelope_record())

def stored():
    return pipeline.counters.stored

flush = pipeline.flush
"""


@pytest.fixture
def run(run_program):
    """Runs a program that puts records; they wait 600 s unless the end of it flushes them."""
    return partial(run_program, PREAMBLE)


class TestRecords(Ends):
    """A pipeline of records."""


def test_the_end_of_the_program_loses_none(collector, run):
    code, _, err = ended(run("put(1000)"))
    assert (code, err) == (0, "")
    assert len(set(collector.ids)) == 1000


def test_sys_exit_loses_none(collector, run):
    code, _, _ = ended(run("put(1000); sys.exit(3)"))
    assert code == 3
    assert len(set(collector.ids)) == 1000


def test_an_exception_at_top_level_loses_none(collector, run):
    code, _, err = ended(run("put(1000); raise RuntimeError('the host')"))
    assert code == 1
    assert "RuntimeError: the host" in err
    assert len(set(collector.ids)) == 1000


def test_what_the_hosts_own_atexit_functions_record_is_delivered(collector, run):
    code, _, _ = ended(run("put(1); atexit.register(put, 10)"))
    assert code == 0
    assert len(set(collector.ids)) == 11


def test_a_sigterm_handler_of_the_host_stays_its_own(collector, run):
    child = run(
        "lifecycle.uninstall(); signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
        f"lifecycle.install(); put(10); print('ready', flush=True){IDLE}"
    )
    child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    code, _, _ = ended(child)
    assert code == 7
    assert len(set(collector.ids)) == 10


def test_a_server_that_raises_again_the_sigterm_it_took_loses_none(collector, run):
    # As uvicorn does: it takes the signal before it imports the application, which imports what
    # is instrumented, and gives it back when it has served.
    code, out, err = ended(
        run(
            """
            lifecycle.uninstall()
            signal.signal(signal.SIGTERM, lambda *_: print("taken", flush=True))
            lifecycle.install()
            put(1000)
            os.kill(os.getpid(), signal.SIGTERM)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)
            """
        )
    )
    assert (code, out, err) == (-signal.SIGTERM, "taken\n", "")
    assert len(set(collector.ids)) == 1000


def test_a_handler_that_exits_while_the_process_ends_already_loses_none(collector, run):
    # As gunicorn's of SIGQUIT, which comes here while the end waits for the collector.
    collector.latency = 1
    code, _, err = ended(
        run(
            """
            signal.signal(signal.SIGQUIT, lambda *_: sys.exit(5))
            put(1000)
            shutdown = pipeline.shutdown

            def interrupted(timeout):
                pipeline.shutdown = shutdown
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGQUIT)).start()
                return shutdown(timeout)

            pipeline.shutdown = interrupted
            sys.exit(3)
            """
        )
    )
    assert (code, err) == (3, "")
    assert len(set(collector.ids)) == 1000


def test_a_signal_that_does_not_end_the_process_is_raised_as_ever(collector, run):
    code, out, err = ended(
        run(
            """
            put(1)
            signal.signal(signal.SIGUSR1, lambda *_: print("user"))
            signal.signal(signal.SIGTERM, lambda *_: print("term"))
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)
            try:
                signal.raise_signal(12345)
            except OSError:
                print("none")
            print(pipeline.counters.stored)
            put(1)
            """
        )
    )
    assert (code, err) == (0, "")
    assert out.split() == ["user", "term", "none", "0"]
    assert len(set(collector.ids)) == 2


def test_a_forked_child_delivers_its_own_and_the_parent_its_own(collector, run):
    code, _, err = ended(
        run(
            """
            put(100)
            pipeline.flush(10)      # a live connection, and idle threads
            put(100)                # and records that wait
            child = os.fork()
            put(50)
            if child:
                _, status = os.waitpid(child, 0)
                sys.exit(os.waitstatus_to_exitcode(status))
            """
        )
    )
    assert (code, err) == (0, "")
    assert len(collector.ids) == len(set(collector.ids)) == 300
    assert {r.body.string_value != "" for r in collector.named("otelope.process")} == {True}


def test_a_child_whose_fork_told_python_nothing_loses_none(collector, run_program):
    code, _, err = ended(
        run_program(
            PREAMBLE + UNTOLD_FORK,
            """
            put(100)
            pipeline.flush(10)      # threads, which the children do not have
            put(100)                # and records that wait
            for records in (50, 0):
                child = untold_fork()
                if not child:
                    put(records)
                    atexit.unregister(lifecycle.end)
                    started = time.monotonic()
                    lifecycle.end()
                    os._exit(0 if time.monotonic() - started < 4 else 1)
                assert os.waitpid(child, 0)[1] == 0
            """,
        )
    )
    assert (code, err) == (0, "")
    assert len(collector.ids) == len(set(collector.ids)) == 250


def test_a_worker_of_a_multiprocessing_pool_that_is_terminated_loses_none(collector, run):
    code, _, err = ended(
        run(
            """
            with multiprocessing.get_context("fork").Pool(2) as pool:
                pool.map(put, [50, 50])
            """  # leaving the block terminates the workers: SIGTERM
        )
    )
    assert (code, err) == (0, "")
    assert len(set(collector.ids)) == 100


def test_a_worker_of_billiards_pool_loses_none_however_it_ends(collector, run):
    code, _, _ = ended(
        run(
            """
            from billiard.pool import Pool

            def last(*_):
                put(1)

            if __name__ == "__main__":
                pool = Pool(2, on_process_exit=last)
                pool.map(put, [50, 50])
                pool.close()
                pool.join()
                with Pool(1, maxtasksperchild=1) as pool:
                    pool.map(put, [10, 10])
            """
        )
    )
    assert code == 0
    assert len(set(collector.ids)) == 2 * 50 + 2 * 1 + 2 * 10


def test_an_unreachable_collector_does_not_hold_the_exit_up(collector, run, unused_port):
    started = time.monotonic()
    child = run(
        "put(10)\nlifecycle._timeout = 1.0",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{unused_port}",
    )
    code, _, err = ended(child)
    assert code == 0
    assert time.monotonic() - started < 1.0 + 3.0  # to start Python takes its time as well
    assert "10 records could not be delivered" in err


def test_a_collector_that_hangs_does_not_hold_the_exit_up(collector, run):
    collector.latency = 15
    child = run("print('ready', flush=True); put(10)\nlifecycle._timeout = 1.0")
    child.stdout.readline()
    started = time.monotonic()
    code, _, err = ended(child)
    assert code == 0
    assert time.monotonic() - started < 4
    assert "10 records could not be delivered" in err


def test_no_further_thread_at_the_end_of_the_interpreter(collector, run):
    # As before, but the exporter's own thread runs already and only the sending ones are missing.
    code, _, err = ended(
        run(
            """
            put(10)
            def refuse(self):
                raise RuntimeError("can't create new thread at interpreter shutdown")
            atexit.register(lambda: setattr(threading.Thread, "start", refuse))
            """
        )
    )
    assert (code, err) == (0, "")
    assert len(set(collector.ids)) == 10


def test_uninstall_gives_everything_back(run):
    code, out, err = ended(
        run(
            """
            print(signal.getsignal(signal.SIGTERM) == lifecycle._on_sigterm)
            print(signal.raise_signal.__module__ == "otelope.export.lifecycle")
            lifecycle.uninstall()
            lifecycle.uninstall()
            print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
            print(signal.raise_signal.__module__ == "_signal")
            put(1)
            """
        )
    )
    assert (code, err) == (0, "")
    assert out.split() == ["True"] * 4


def test_after_uninstall_nothing_is_flushed_at_the_end(collector, run):
    ended(run("lifecycle.uninstall(); put(1)"))
    assert collector.ids == []


def test_a_forked_child_that_skips_its_exit_functions_loses_none(collector, run):
    code, _, err = ended(
        run(
            """
            def of(child):
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

            child = os.fork()
            if not child:
                put(100)
                grandchild = os.fork()
                if not grandchild:
                    put(10)
                    os._exit(4)
                os._exit(3 if of(grandchild) == 4 else 1)
            sys.exit(of(child))
            """
        )
    )
    assert (code, err) == (3, "")
    assert len(set(collector.ids)) == 110
