"""A running flow with its witnesses: the databases, the topics, and otelope's store."""

from __future__ import annotations

import time

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from confluent_kafka import Consumer, TopicPartition

from examples.flows.flow import Program, flow_of
from examples.flows.messages import read
from examples.flows.running import EMBEDDED, TOPICS, Chosen, Running
from examples.running.processes import Processes
from examples.running.servers import Otelope
from otelope import Envelope
from tests.e2e.flows.stories import story_of


T = TypeVar("T")

SECONDS_TO_SETTLE = 30
# So long a record waits in the process. What a process tells just before it is killed is lost,
# and not now and then left over, where the machine is slow.
SETTINGS = {"OTELOPE_EXPORT_INTERVAL": "1"}


class Published(NamedTuple):
    """A message as it lies in a topic, in the order of its partition."""

    key: str
    envelope: Envelope


class Witnesses:
    """
    What is true of a running flow, from where it is true.

    Args:
        running: The flow.
        processes: Its processes.
    """

    def __init__(self, running: Running, processes: Processes) -> None:
        self.running = running
        self._processes = processes

    def stored(self) -> list[Envelope]:
        """All messages of all databases, each database in its order."""
        found = []
        for database in self.running.databases.values():
            messages = database.tables.messages
            query = sa.select(messages.c.body).order_by(messages.c.position)
            with database.engine.connect() as connection:
                found += [Envelope.from_dict(body) for (body,) in connection.execute(query)]
        return found

    def states(self, service: str) -> dict[str, dict[str, Any]]:
        """The latest state of each key."""
        tables = self.running.databases[service].tables
        query = sa.select(tables.state.c.key, tables.state.c.value)
        with self.running.databases[service].engine.connect() as connection:
            return {row.key: row.value for row in connection.execute(query)}

    def published(self) -> dict[str, list[Published]]:
        """What lies in each topic of the embedded Kafka; those of a key are in order."""
        address = self.running.broker.removeprefix("kafka://")
        return {topic: list(_messages(address, topic)) for topic in TOPICS}

    def published_ids(self) -> set[str]:
        """The ids of the envelopes in any topic."""
        return {
            message.envelope.id for messages in self.published().values() for message in messages
        }

    def story(self, command: Envelope) -> str:
        """What otelope tells of a command so far."""
        tree = self.running.tree(command.id)
        return story_of(tree["root"]) if tree else "nothing"

    def tells(self, command: Envelope, story: str) -> dict[str, Any]:
        """Wait until otelope tells this story of a command; the tree."""

        def told() -> dict[str, Any] | None:
            tree = self.running.tree(command.id)
            return tree if tree and story_of(tree["root"]) == story else None

        try:
            return self.waited(told, "the story")
        except AssertionError:
            assert self.story(command) == story
            raise

    def waited(self, answer: Callable[[], T | None], what: str) -> T:
        """Wait until there is an answer other than None, while no process ends."""
        deadline = time.monotonic() + SECONDS_TO_SETTLE
        while (found := answer()) is None:
            assert time.monotonic() < deadline, f"waited {SECONDS_TO_SETTLE} s for {what}"
            self._processes.pause(0.05)
        return found


@contextmanager
def started(
    letter: str,
    directory: Path,
    otelope: Otelope,
    chosen: Chosen = EMBEDDED,
    more: Sequence[Program] = (),
) -> Iterator[Witnesses]:
    """A flow, with more programs than it usually has, from its start to its end."""
    flow = flow_of(letter)
    flow = flow._replace(programs=(*flow.programs, *more))
    with Processes(directory) as processes:
        running = Running(flow, processes, directory, otelope, chosen, SETTINGS)
        yield Witnesses(running, processes)
    running.close()
    # uvicorn ends as the signal says that it got, once it has shut down.
    assert set(processes.exit_codes.values()) <= {0, -SIGTERM}, processes.exit_codes


def types(envelopes: Iterable[Envelope]) -> Counter[str]:
    """How many there are of each type."""
    return Counter(envelope.type for envelope in envelopes)


def _messages(address: str, topic: str) -> Iterator[Published]:
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "witness", "fetch.wait.max.ms": 10}
    )
    try:
        for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            consumer.assign([TopicPartition(topic, number, 0)])
            for _ in range(end):
                message = consumer.poll(10)
                assert message is not None
                assert message.error() is None, message.error()
                yield Published(message.key().decode(), read(message.value()))
    finally:
        consumer.close()
