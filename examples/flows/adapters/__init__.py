"""The adapters of the ports; `broker_of` and `log_of` choose one by its URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from examples.flows.ports import Broker, Log


def broker_of(url: str, group: str) -> Broker:
    """
    The broker of a URL, ``kafka://host:port`` or ``amqp://…``; its library is imported here.

    Args:
        url: Where it is.
        group: Who consumes: of one group, each message goes to one member.

    Raises:
        ValueError: It is no broker that we know.
    """
    scheme, _, address = url.partition("://")
    if scheme == "kafka":
        from examples.flows.adapters.kafka import Kafka  # noqa: PLC0415 - the one that is used

        return Kafka(address, group)
    if scheme in ("amqp", "amqps"):
        from examples.flows.adapters.rabbitmq import RabbitMQ  # noqa: PLC0415 - the one in use

        return RabbitMQ(url, group)
    raise ValueError(f"no broker: {url!r} (kafka://host:port or amqp://…)")


def create_channels(
    url: str, channels: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> None:
    """
    Make what a broker needs to know before somebody uses it.

    Args:
        url: Where it is.
        channels: All of them.
        groups: To which channels each listens, so that it misses nothing before it is there.
    """
    scheme, _, address = url.partition("://")
    if scheme == "kafka":
        from examples.flows.adapters.kafka import create_topics  # noqa: PLC0415 - as above

        create_topics(address, channels)
    if scheme in ("amqp", "amqps"):
        from examples.flows.adapters.rabbitmq import create_queues  # noqa: PLC0415 - as above

        create_queues(url, channels, groups)


def log_of(url: str) -> Log:
    """
    The log of a broker's URL.

    Raises:
        ValueError: It is no broker that keeps what was said.
    """
    scheme, _, address = url.partition("://")
    if scheme == "kafka":
        from examples.flows.adapters.kafka_log import KafkaLog  # noqa: PLC0415 - as above

        return KafkaLog(address)
    raise ValueError(f"no broker that keeps what was said: {url!r} (kafka://host:port)")
