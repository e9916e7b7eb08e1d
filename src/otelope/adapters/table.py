"""
One row per client library: the registry.

A row drives the import hook, the version guard, the off switch, the docs table, the test matrix
and `otelope doctor`.
"""

from __future__ import annotations

from typing import NamedTuple


# Packages that many distributions share, each with one of its own below.
_NAMESPACES = ("google.cloud",)


class Row(NamedTuple):
    """
    A supported library.

    Args:
        name: The adapter's module below `otelope.adapters`; also test id and docs anchor.
        imports: The module whose import puts the wrappers in place.
        requires: The distribution and its supported versions; the lowest and the newest of them
            are tested.
    """

    name: str
    imports: str
    requires: str

    @property
    def module(self) -> str:
        """The adapter's full module name."""
        return f"otelope.adapters.{self.name}"

    @property
    def package(self) -> str:
        """The outermost package that the library brings and no other."""
        shared = [name for name in _NAMESPACES if self.imports.startswith(f"{name}.")]
        depth = shared[0].count(".") + 2 if shared else 1
        return ".".join(self.imports.split(".")[:depth])

    @property
    def entry_point(self) -> str:
        """What ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` calls it."""
        return f"otelope_{self.name.rpartition('.')[2]}"


TABLE = (
    Row("brokers.aio_pika", "aio_pika", "aio-pika>=9,<11"),
    Row("brokers.aiobotocore", "aiobotocore.client", "aiobotocore>=2.7,<4"),
    Row("brokers.aiokafka", "aiokafka", "aiokafka>=0.9,<1"),
    Row("brokers.aiomqtt", "aiomqtt", "aiomqtt>=2,<3"),
    Row("brokers.botocore", "botocore.client", "botocore>=1.31.62,<2"),
    Row("brokers.celery", "celery.app.trace", "celery>=5.3,<6"),
    Row("brokers.confluent_kafka", "confluent_kafka.cimpl", "confluent-kafka>=2.3,<3"),
    Row("brokers.dramatiq", "dramatiq", "dramatiq>=1.13,<3"),
    Row("brokers.kafka", "kafka", "kafka-python>=2.0.2,<4"),
    Row("brokers.kombu", "kombu.messaging", "kombu>=5.3,<6"),
    Row("brokers.nats", "nats.aio.client", "nats-py>=2.2,<3"),
    Row("brokers.paho", "paho.mqtt.client", "paho-mqtt>=1.6,<3"),
    Row("brokers.pika", "pika.adapters.blocking_connection", "pika>=1.2,<2"),
    Row("brokers.pubsub", "google.cloud.pubsub_v1", "google-cloud-pubsub>=2.23,<3"),
    Row("brokers.redis", "redis", "redis>=4.5.4,<9"),
    Row("brokers.redis_streams", "redis", "redis>=4.5.4,<9"),
    Row("databases.asyncpg", "asyncpg", "asyncpg>=0.27,<1"),
    Row("databases.psycopg", "psycopg", "psycopg>=3.1.8,<4"),
    Row("databases.sqlalchemy", "sqlalchemy", "sqlalchemy>=2,<3"),
    Row("web.httpx", "httpx", "httpx>=0.24,<1"),
    Row("web.starlette", "starlette.routing", "starlette>=0.27,<2"),
)
