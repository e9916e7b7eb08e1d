"""The embedded collector and the production path: the same records, the same answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from examples.running.environments import plain
from examples.running.processes import Processes
from examples.running.servers import start_otelope
from tests.cli.story import export_request, order, process_request, walk
from tests.e2e.pipeline.backend import Backend
from tests.e2e.pipeline.sending import count, send
from tests.e2e.servers.jaeger_server import Jaeger
from tests.store.made import delivery_record, envelope_record, request


pytestmark = pytest.mark.pipeline

ROOT, *OTHERS = [node["id"] for node in walk(order())]
ALONE = "01234567-89ab-4cde-8f01-23456789abcd"  # no otelope id
NOTHING = "no-such-thing"
HOUR_MS = 3_600_000

QUESTIONS = [
    *(("tree", each) for each in (ROOT, *OTHERS, ROOT[:8], order()["trace_id"], ALONE)),
    ("tree", ROOT, "--ids"),
    ("find",),
    ("find", "--type", "OrderPlaced"),
    ("find", "--source", "payments"),
    ("find", "--channel", "orders.events"),
    ("find", "--failed"),
    ("find", "--stuck"),
    ("find", "--since", "2025-01-01", "--until", "2025-12-31"),
    ("find", "--limit", "2"),
    ("find", "fields of a lost order"),
    ("contracts", "--since", "2025-01-01"),
    ("contracts", "--type", "OrderLost", "--since", "2025-01-01"),
    *(("tree", NOTHING), ("find", "--type", NOTHING)),
]


class Halves:
    """Both, with the same records."""

    def __init__(self, backend: Backend, embedded: str) -> None:
        self._backend = backend
        self._embedded = embedded

    def ask(self, *command: str) -> list[tuple[int, str]]:
        """How `otelope` ends and what it answers, of each half."""
        return [
            (done.returncode, done.stdout)
            for done in (
                self._run(*command, "--store", self._embedded),
                self._run(*command, "--clickhouse", self._backend.clickhouse),
            )
        ]

    @staticmethod
    def _run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "otelope", *command],
            check=False,
            capture_output=True,
            text=True,
            env=plain(),
            timeout=60,
        )


@pytest.fixture(scope="module")
def halves(
    tmp_path_factory: pytest.TempPathFactory, collector_program: Path, jaeger_server: Jaeger
) -> Iterator[Halves]:
    directory = tmp_path_factory.mktemp("halves")
    with Processes(directory) as processes, Backend(directory, jaeger_server.otlp) as backend:
        backend.start_collector("production")
        embedded = start_otelope(processes, directory)
        told = records()
        # What is sent twice is there once, whoever sees to it.
        for times in (1, 2):
            for endpoint in (embedded.receiver, backend.endpoint):
                send(endpoint, told)
            backend.wait_for_records(times * count(told))
        yield Halves(backend, embedded.questions)


def records() -> ExportLogsServiceRequest:
    """A whole story, one envelope of another dialect with a contract, and a process."""
    told = ExportLogsServiceRequest.FromString(export_request(walk(order())))
    lost = envelope_record(
        ALONE,
        type="OrderLost",
        note="fields of a lost order",
        **{"otelope.contract.declared": '["note"]', "otelope.contract.left": '["note", "name"]'},
    )
    told.MergeFrom(request(lost, delivery_record(ALONE, outcome="error")))
    heard = (time.time_ns() // 1_000_000) - 2 * HOUR_MS
    state = {"counters": {"seen": 9, "stored": 9}, "libraries": {}}
    told.MergeFromString(process_request("payments", "2.1", 4711, heard, state))
    return told


@pytest.mark.parametrize("command", QUESTIONS, ids=" ".join)
def test_a_question_has_one_answer(halves: Halves, command: tuple[str, ...]):
    embedded, production = halves.ask(*command, "--json")
    assert production == embedded
    # What waited in the outbox of that story has long been published.
    assert embedded[0] == (0 if {NOTHING, "--stuck"}.isdisjoint(command) else 1)


def test_both_tell_the_same_as_new(halves: Halves):
    command = ("tail", "--once", "--last", "100", "--json")
    # What came at once has no order among itself.
    embedded, production = (
        [code, *sorted(said.splitlines())] for code, said in halves.ask(*command)
    )
    assert production == embedded
    assert len(embedded) > 1 + len(OTHERS)


def test_they_see_the_same_processes(halves: Halves):
    embedded, production = (
        [without_its_age(each) for each in json.loads(answer)["processes"]]
        for _, answer in halves.ask("doctor", "--json")
    )
    assert production == embedded
    assert [each["subject"] for each in embedded] == ["payments 2.1 (pid 4711)"]


def without_its_age(process: dict[str, Any]) -> dict[str, Any]:
    # They are asked one after the other, and between them a minute may end.
    text, told = re.subn(r"heard 2 h( \d+ min)? ago", "", process["text"])
    assert told == 1, process["text"]
    return {**process, "text": text, "advice": None}
