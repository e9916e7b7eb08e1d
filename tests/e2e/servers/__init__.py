"""
Real servers for tests, on loopback and free ports, gone when the `with` ends.

Standard library only: `python -m tests.e2e.servers.install` runs before anything is installed.
"""

from __future__ import annotations

from tests.e2e.servers.apache_kafka import apache_kafka
from tests.e2e.servers.jaeger_server import jaeger
from tests.e2e.servers.mosquitto import mosquitto
from tests.e2e.servers.moto import moto
from tests.e2e.servers.nats import nats
from tests.e2e.servers.postgresql import postgresql
from tests.e2e.servers.processes import Missing
from tests.e2e.servers.pubsub import pubsub
from tests.e2e.servers.pulsar import pulsar
from tests.e2e.servers.rabbitmq import rabbitmq
from tests.e2e.servers.redis import redis
from tests.e2e.servers.servicebus import servicebus


__all__ = [
    "SERVERS",
    "Missing",
    "apache_kafka",
    "jaeger",
    "mosquitto",
    "moto",
    "nats",
    "postgresql",
    "pubsub",
    "pulsar",
    "rabbitmq",
    "redis",
    "servicebus",
]

SERVERS = {
    "aws": moto,
    "jaeger": jaeger,
    "kafka": apache_kafka,
    "mqtt": mosquitto,
    "nats": nats,
    "postgresql": postgresql,
    "pubsub": pubsub,
    "pulsar": pulsar,
    "rabbitmq": rabbitmq,
    "redis": redis,
    "servicebus": servicebus,
}
