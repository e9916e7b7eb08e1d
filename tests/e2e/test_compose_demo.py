"""The demo's services with what docker-compose.yml gives them, and a real Kafka, as processes."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.demo.expected import DECLINED, PAID, Step, step_of
from examples.running.environments import instrument, instrumented, plain
from examples.running.ports import free_port
from examples.running.processes import Failed, Processes
from examples.running.servers import SECONDS_TO_START, start_otelope
from tests.e2e.servers import Missing, apache_kafka
from tests.packaging.compose import ROOT, services


pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.xdist_group("compose demo")]

DEMO = ROOT / "examples/demo"
SECONDS_TO_COMPLETE = 60


@pytest.fixture
def kafka() -> Iterator[str]:
    """A broker of its own: other tests have topics and groups of the same names."""
    try:
        with apache_kafka() as address:
            yield address
    except Missing as error:
        pytest.skip(str(error))


class Containers:
    """Starts services as their containers would, with addresses of this machine for theirs."""

    def __init__(self, processes: Processes, here: dict[str, str]) -> None:
        self._processes = processes
        self._here = here
        self._services = services()

    def start(self, name: str) -> None:
        service = self._services[name]
        said = {key: self._moved(str(text)) for key, text in service["environment"].items()}
        # What the images do by their own entrypoint; of this process's environment nothing.
        if "entrypoint" in service:
            command: list[str | Path] = [sys.executable, service["entrypoint"][1]]
            environment = plain(**said)
        else:
            command = [instrument(), sys.executable, *service["command"]]
            # The contrib instrumentations that are installed here, the image does not have.
            others = instrumented(name, "", "")["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"]
            environment = plain(**said, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=others)
        # In a container every port is free.
        environment["PORT"] = self._here["orders:8000"].rpartition(":")[2]
        self._processes.start(name, command, environment, DEMO)

    def _moved(self, text: str) -> str:
        for there, here in self._here.items():
            text = text.replace(there, here)
        return text


def test_an_order_goes_all_its_way(kafka: str, tmp_path: Path):
    with Processes(tmp_path) as processes:
        otelope = start_otelope(processes, tmp_path)
        here = {
            "kafka:9092": kafka,
            "collector:4317": otelope.receiver.removeprefix("http://"),
            "orders:8000": f"127.0.0.1:{free_port()}",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - in a container
        }
        containers = Containers(processes, here)
        containers.start("topics")
        assert processes.wait_for_end("topics", SECONDS_TO_START) == 0
        for name in ("orders", "payments", "shipping"):
            containers.start(name)
        processes.said("orders", "running on", SECONDS_TO_START)
        containers.start("shop")
        placed = "(?s)order-1: otelope tree (\\S+).*order-2: otelope tree (\\S+)"
        first, second = processes.said("shop", placed, SECONDS_TO_START).groups()
        await_tree(processes, otelope.questions, first, PAID)
        await_tree(processes, otelope.questions, second, DECLINED)
        processes.stop("shop", "orders", "payments", "shipping")
        assert {processes.exit_codes[name] for name in ("shop", "payments", "shipping")} == {0}


def test_without_a_kafka_the_topics_say_so(tmp_path: Path):
    nobody = f"127.0.0.1:{free_port()}"
    with Processes(tmp_path) as processes:
        # A minute is right for a broker that starts, and too long for a test.
        hurry = "import topics; topics.main(1)"
        processes.start("topics", [sys.executable, "-c", hurry], plain(KAFKA=nobody), DEMO)
        assert processes.wait_for_end("topics", SECONDS_TO_START) == 1
        said = processes.history("topics")
        assert said.startswith(f"topics: {nobody} does not make them: ")
        assert "Traceback" not in said


def test_without_an_order_service_the_shop_says_so(tmp_path: Path):
    nobody = f"http://127.0.0.1:{free_port()}"
    with Processes(tmp_path) as processes:
        processes.start("shop", [sys.executable, "shop.py"], plain(ORDERS=nobody), DEMO)
        assert processes.wait_for_end("shop", SECONDS_TO_START) == 1
        said = processes.history("shop")
        assert said.startswith(f"shop: {nobody} does not take orders: ")
        assert "Traceback" not in said


def await_tree(processes: Processes, store: str, envelope_id: str, expected: Step) -> None:
    latest: list[Any] = []

    def complete() -> bool | None:
        try:
            with urllib.request.urlopen(f"{store}/api/tree/{envelope_id}") as answer:  # noqa: S310 - our own server
                latest[:] = [step_of(json.load(answer)["root"])]
        except urllib.error.HTTPError:
            return None
        return True if latest == [expected] else None

    try:
        processes.wait_for(complete, f"the tree of {envelope_id}", SECONDS_TO_COMPLETE)
    except Failed as failure:
        raise AssertionError(f"{failure}\nexpected {expected}\nseen {latest}") from None
