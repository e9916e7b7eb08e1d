"""
Applications under the servers of the web: each worker exports, and none loses what it answered.

All servers run side by side, once; then each is looked at by itself. In the first part of its run
it is seen that the records of all workers arrive; in the second it is told to stop.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from examples.running.environments import instrument, instrumented
from examples.running.ports import free_port
from examples.running.processes import Processes
from examples.running.servers import Otelope
from otelope.model.identity import new_id
from tests.e2e.web_servers.load import Load


HERE = Path(__file__).parent / "web_servers"
# Seconds. What is answered last waits for as long, or is told as the workers end.
EXPORT_INTERVAL = 2
ORDERS = 100
# Of a machine that other tests keep busy; gunicorn gives its workers 30 s to end.
SECONDS_TO_START = 120
SECONDS_TO_EXPORT = 30
SECONDS_TO_END = 25
SECONDS_TO_STOP = 60
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("web servers")]

Node = dict[str, Any]


class Server(NamedTuple):
    """
    How a server is started, and how it ends.

    Args:
        name: Of the case.
        command: The server's, in which ``{port}`` is the test's own.
        workers: How many processes answer in the first part; more than it has at a time where
            it replaces them.
        seconds: How long the first part lasts at least.
        opens: Whether the application records as it is imported.
        by: The signal that the server is told to stop by.
        under_load: Whether clients go on ordering meanwhile.
        reloads: Whether the program changes between the two parts.
    """

    name: str
    command: Sequence[str]
    workers: int = 2
    seconds: float = 0
    opens: bool = True
    by: signal.Signals = signal.SIGTERM
    under_load: bool = True
    reloads: bool = False


UVICORN = ["uvicorn", "asgi:application", "--port={port}", "--no-access-log"]
# Where the machine is busy a worker needs longer than the 5 s after which uvicorn kills it.
UVICORN += ["--timeout-worker-healthcheck=20"]
GUNICORN = ["gunicorn", "--bind=127.0.0.1:{port}", "--workers=2", "--no-control-socket"]
UWSGI = ["uwsgi", "--http-socket=127.0.0.1:{port}", "--wsgi-file=wsgi.py"]
UWSGI += ["--callable=application", "--master", "--processes=2", "--disable-logging"]
# By itself it kills workers in the middle of their requests, which then run no more Python.
UWSGI += ["--hook-master-start=unix_signal:15 gracefully_kill_them_all"]
# The long ones first: as many run beside them as there is room for.
AT_ONCE = 5
SERVERS = [
    Server(
        "uvicorn for 20 s",
        # The jitter: both would end at the same moment.
        [*UVICORN, "--workers=2", "--limit-max-requests=500", "--limit-max-requests-jitter=300"],
        workers=3,
        seconds=20,
    ),
    Server(
        "gunicorn gthread for 20 s",
        [*GUNICORN, "--threads=4", "--max-requests=500", "wsgi"],
        workers=4,
        seconds=20,
    ),
    Server("uvicorn", [*UVICORN, "--workers=2"], by=signal.SIGINT, under_load=False),
    Server("uvicorn reload", [*UVICORN, "--reload"], workers=1, reloads=True),
    Server(
        "hypercorn", ["hypercorn", "asgi:application", "--bind=127.0.0.1:{port}", "--workers=2"]
    ),
    Server("gunicorn sync preload", [*GUNICORN, "--preload", "wsgi"], under_load=False),
    Server(
        "gunicorn uvicorn preload",
        [*GUNICORN, "--worker-class", "uvicorn_worker.UvicornWorker", "--preload", "asgi"],
    ),
    Server("uwsgi lazy", [*UWSGI, "--lazy-apps"]),
    Server("uwsgi prefork", UWSGI, opens=False),
]


class Ran(NamedTuple):
    """
    What became of a server's run.

    Args:
        answered: The orders that were placed, each with the process that said so.
        exported: Whether what had been answered in the first part was in the store meanwhile.
        nodes: What the store has in the end, by id.
        counters: What each process has counted, by its id.
        exit_code: The server's.
        output: What it said.
    """

    answered: dict[str, int]
    exported: bool
    nodes: dict[str, Node]
    counters: dict[int, dict[str, int]]
    exit_code: int | None
    output: str


@pytest.fixture(scope="module")
def runs(
    otelope_up: Otelope, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Future[Ran]]:
    """The runs of the servers whose tests were chosen, by name."""
    tests = [item for item in request.session.items if item.path == request.path]
    chosen = [test.callspec.params["server"] for test in tests]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {
            server.name: pool.submit(_run, server, otelope_up, tmp_path_factory.mktemp("server"))
            for server in chosen
        }


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_nothing_that_was_answered_is_lost_under(server: Server, runs: dict[str, Future[Ran]]):
    ran = runs[server.name].result()
    print(_seen(ran))  # pytest shows it with what fails
    assert ran.exit_code == 0
    assert "Traceback" not in ran.output
    assert "otelope failed" not in ran.output
    assert "could not be delivered" not in ran.output
    assert ran.exported
    lost = [placed for placed in ran.answered if placed not in ran.nodes]
    assert lost == []
    handled = Counter(len(ran.nodes[placed]["deliveries"]) for placed in ran.answered)
    assert handled == {1: len(ran.answered)}
    # What was counted was stored, and once.
    assert set(ran.answered.values()) <= set(ran.counters)
    assert all(each["seen"] == each["stored"] for each in ran.counters.values())
    told = sum(1 + len(node["deliveries"]) for node in ran.nodes.values())
    assert sum(each["seen"] for each in ran.counters.values()) == told


def _seen(ran: Ran) -> str:
    lost = [pid for placed, pid in ran.answered.items() if placed not in ran.nodes]
    return (
        f"answered by {Counter(ran.answered.values())}, of which lost {Counter(lost)};\n"
        f"stored {len(ran.nodes)}; counted {ran.counters}\n{ran.output[-3000:]}"
    )


def _run(server: Server, otelope_up: Otelope, directory: Path) -> Ran:
    port, cause = free_port(), new_id()
    load = Load(port, cause)
    with (
        Processes(directory) as processes,
        closing(httpx.Client(base_url=otelope_up.questions, trust_env=False, timeout=60)) as store,
    ):
        program = _start(server, port, cause, otelope_up.receiver, processes, directory)
        with load:
            processes.wait_for(lambda: load.answered or None, "an answer", SECONDS_TO_START)
            ends = time.monotonic() + server.seconds
            processes.wait_for(
                lambda: (
                    (
                        len(load.answered) >= ORDERS
                        and len(load.pids) >= server.workers
                        and time.monotonic() >= ends
                    )
                    or None
                ),
                "answers of all workers",
                SECONDS_TO_START,
            )
        exported = _exported(store, load, processes.pause)
        before, pids = len(load.answered), load.pids
        if server.reloads:
            (program / "asgi.py").touch()
        with load:
            processes.wait_for(
                lambda: (
                    (
                        len(load.answered) >= before + ORDERS
                        and not (server.reloads and load.pids == pids)
                    )
                    or None
                ),
                "more answers",
                SECONDS_TO_START,
            )
            if server.under_load:
                processes.stop("server", by=server.by, seconds=SECONDS_TO_STOP)
        if not server.under_load:
            processes.stop("server", by=server.by, seconds=SECONDS_TO_STOP)
        return Ran(
            load.answered,
            exported,
            _nodes(store, load),
            {
                each["pid"]: each["status"]["counters"]
                for each in store.get("/api/processes").json()
                if each["service"] == server.name
            },
            processes.exit_codes["server"],
            processes.output("server"),
        )


def _start(
    server: Server,
    port: int,
    cause: str,
    receiver: str,
    processes: Processes,
    directory: Path,
) -> Path:
    """Start it with a copy of the applications, which may change; where that is."""
    program = directory / "program"
    shutil.copytree(HERE, program, ignore=shutil.ignore_patterns("__pycache__"))
    name, *arguments = (each.format(port=port) for each in server.command)
    own = {"OPENED_BY": cause} if server.opens else {}
    processes.start(
        "server",
        [instrument(), Path(sys.executable).with_name(name), *arguments],
        instrumented(
            server.name,
            "1.0",
            receiver,
            OTELOPE_EXPORT_INTERVAL=str(EXPORT_INTERVAL),
            OTELOPE_SHUTDOWN_TIMEOUT=str(SECONDS_TO_END),
            OTEL_BSP_SCHEDULE_DELAY="5000",  # as it is by default
            # Coverage would follow each worker, and what it does at exit comes in between.
            COVERAGE_PROCESS_CONFIG="",
            **own,
        ),
        program,
    )
    return program


def _exported(store: httpx.Client, load: Load, pause: Callable[[float], None]) -> bool:
    """Whether what each process answered last is in the store, within some time."""
    last = {pid: placed for placed, pid in load.answered.items()}
    deadline = time.monotonic() + EXPORT_INTERVAL + SECONDS_TO_EXPORT
    while last and time.monotonic() < deadline:
        pause(0.5)
        last = {
            pid: placed
            for pid, placed in last.items()
            if store.get(f"/api/envelope/{placed}").status_code != httpx.codes.OK
        }
    return not last


def _nodes(store: httpx.Client, load: Load) -> dict[str, Node]:
    """What the store has of the tree that all orders of a load stand in, by id."""
    for placed in load.answered:
        answer = store.get(f"/api/tree/{placed}", params={"flat": "1"})
        if answer.status_code == httpx.codes.OK:
            tree = answer.json()
            assert not tree["truncated"]
            return {node["id"]: node for node in tree["nodes"] if not node["missing"]}
    return {}
