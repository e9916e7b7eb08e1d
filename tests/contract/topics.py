"""Topics of Kafka, made before their clients look for them."""

from __future__ import annotations

import functools
import time

from contextlib import suppress

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic


def make_topics(address, names):
    """
    Make these topics where they are not there, and wait until each has a leader.

    Of one that is being made, clients ask again after 0.1 s.
    """
    client = _client(address)
    if not _is_mock(address):
        for made in client.create_topics([NewTopic(name, 1, 1) for name in names]).values():
            with suppress(KafkaException):  # it is there
                made.result()
    waited_for = set(names)
    deadline = time.monotonic() + 20
    while waited_for := {name for name in waited_for if not _is_led(client, name)}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no leader of {', '.join(waited_for)}")
        time.sleep(0.002)


@functools.cache  # the answer names all topics
def _is_mock(address):
    """Whether it is librdkafka's cluster, which makes no topic but the one it is asked for."""
    return _client(address).list_topics(timeout=10).cluster_id.startswith("mockCluster")


def _is_led(client, name):
    topic = client.list_topics(name, timeout=10).topics[name]
    return topic.error is None and all(each.leader >= 0 for each in topic.partitions.values())


def _client(address):
    return AdminClient({"bootstrap.servers": address, "log_level": 2})
