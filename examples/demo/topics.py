"""The channels of this shop, and how a Kafka gets them: `KAFKA=host:port python topics.py`."""

from __future__ import annotations

import os
import sys

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic


TOPICS = ("orders.events", "payments.commands", "payments.events", "shipping.events")
SECONDS_TO_START = 60


def make(bootstrap_servers: str, seconds: float) -> None:
    """
    Make those that are missing, as soon as the broker answers.

    Raises:
        KafkaException: It does not, or refuses.
    """
    # Its log would repeat every second that nobody answers yet.
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    wanted = [NewTopic(topic, num_partitions=1, replication_factor=1) for topic in TOPICS]
    for made in admin.create_topics(wanted, request_timeout=seconds).values():
        try:
            made.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def main(seconds: float = SECONDS_TO_START) -> None:
    kafka = os.environ["KAFKA"]
    try:
        make(kafka, seconds)
    except KafkaException as error:
        sys.exit(f"topics: {kafka} does not make them: {error.args[0].str()}")


if __name__ == "__main__":
    main()
