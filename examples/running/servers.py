"""What every example stands on: `otelope up`, and a Kafka that needs no server."""

from __future__ import annotations

import sys

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import confluent_kafka

from examples.running.environments import plain
from examples.running.processes import Processes


SECONDS_TO_START = 60


class Otelope(NamedTuple):
    """A running `otelope up`: the URL for OTLP over gRPC, and that of its questions."""

    receiver: str
    questions: str


def start_otelope(processes: Processes, directory: Path) -> Otelope:
    """Start `otelope up` on free ports, with its data in this directory."""
    up = [sys.executable, "-m", "otelope", "up", "--grpc-port=0", "--http-port=0"]
    processes.start("otelope up", [*up, f"--data={directory / 'data'}"], plain(), Path.cwd())
    said = processes.said("otelope up", r"gRPC (\S+), HTTP (\S+),", SECONDS_TO_START)
    return Otelope(f"http://{said[1]}", f"http://{said[2]}")


class EmbeddedKafka:
    """A real broker by its protocol, inside of librdkafka; it lives as long as this object."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
        (broker,) = self._cluster.list_topics(timeout=10).brokers.values()
        self.address = f"{broker.host}:{broker.port}"
        for topic in topics:
            self._cluster.list_topics(topic, timeout=10)  # asking for a topic creates it
