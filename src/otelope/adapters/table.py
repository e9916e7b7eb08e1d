"""
One row per client library: the registry.

A row drives the import hook, the version guard, the off switch, the docs table, the test matrix
and `otelope doctor`.
"""

from __future__ import annotations

from typing import NamedTuple


# Packages that many distributions share, each with one of its own below.
_NAMESPACES = ("azure", "google.cloud")


class Row(NamedTuple):
    """
    A supported library.

    Args:
        name: The adapter's module below `otelope.adapters`; also test id and docs anchor.
        imports: The module whose import puts the wrappers in place.
        requires: The distribution and its supported versions; the lowest and the newest of them
            are tested. Empty for the standard library.
        styles: The ways of use that are seen, as Markdown.
        proven_on: The servers that the tests of these ways ran on.
    """

    name: str
    imports: str
    requires: str
    styles: str = ""
    proven_on: str = ""

    @property
    def module(self) -> str:
        """The adapter's full module name."""
        return f"otelope.adapters.{self.name}"

    @property
    def library(self) -> str:
        """The distribution's name, or the module's in the standard library."""
        return self.requires.partition(">=")[0] or self.imports

    @property
    def versions(self) -> str:
        """Which versions of it are supported, as a specifier; empty for the standard library."""
        return self.requires.removeprefix(self.library)

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
    Row(
        "brokers.aio_pika",
        "aio_pika",
        "aio-pika>=9,<11",
        "`publish`; callbacks, `process()`, `iterator()`, `get()`; RPC",
        "RabbitMQ",
    ),
    Row(
        "brokers.aiobotocore",
        "aiobotocore.client",
        "aiobotocore>=2.7,<4",
        "SQS, SNS and EventBridge as for botocore",
        "moto's server",
    ),
    Row(
        "brokers.aiokafka",
        "aiokafka",
        "aiokafka>=0.9,<1",
        "`send`, `send_batch`, transactions; `async for`, `getone`, `getmany`",
        "Apache Kafka",
    ),
    Row(
        "brokers.aiomqtt",
        "aiomqtt",
        "aiomqtt>=2,<3",
        "MQTT 5 and 3.1.1, QoS 0 to 2; `async for`",
        "Mosquitto",
    ),
    Row(
        "brokers.arq",
        "arq",
        # 0.24 reads one connection twice at once, which redis 4.5.4 refuses. From 0.26 on it wants
        # redis below 6: newest versions stand side by side with 0.25 only; 0.28 was tried by hand.
        "arq>=0.25,<1",
        "`enqueue_job`, deferred jobs, retries; `async_run`, `run_check`, the command `arq`",
        "Redis",
    ),
    Row(
        "brokers.botocore",
        "botocore.client",
        "botocore>=1.31.62,<2",
        "SQS, SNS and EventBridge, one and in batches; boto3's resources; Lambda",
        "moto's server",
    ),
    Row(
        "brokers.celery",
        "celery.app.trace",
        "celery>=5.3,<6",
        "`apply_async`, `send_task`, chains, groups, chords, retries, eager; every pool",
        "RabbitMQ, Redis",
    ),
    Row(
        "brokers.confluent_kafka",
        "confluent_kafka.cimpl",
        "confluent-kafka>=2.3,<3",
        "`produce`, transactions; `poll`, `consume`; (de)serializers; the asyncio client",
        "Apache Kafka",
    ),
    Row(
        "brokers.dramatiq",
        "dramatiq",
        "dramatiq>=1.13,<3",
        "actors, retries, delays, pipelines",
        "RabbitMQ, Redis",
    ),
    Row(
        "brokers.huey",
        "huey",
        "huey>=2.5,<4",
        "tasks, retries, schedules, pipelines, immediate execution",
        "Redis",
    ),
    Row(
        "brokers.kafka",
        "kafka",
        "kafka-python>=2.0.2,<4",
        "`send`; iteration, `poll`",
        "Apache Kafka",
    ),
    Row(
        "brokers.kombu",
        "kombu.messaging",
        "kombu>=5.3,<6",
        "callbacks, `on_message`, `SimpleQueue`, `Queue.get`",
        "RabbitMQ, Redis",
    ),
    Row(
        "brokers.nats",
        "nats.aio.client",
        "nats-py>=2.2,<3",
        "`publish`, `request`; callbacks, `async for`, `next_msg`; JetStream, `fetch`",
        "NATS",
    ),
    Row(
        "brokers.paho",
        "paho.mqtt.client",
        "paho-mqtt>=1.6,<3",
        "MQTT 5 and 3.1.1, QoS 0 to 2, retained; `on_message`, `message_callback_add`",
        "Mosquitto",
    ),
    Row(
        "brokers.pika",
        "pika.adapters.blocking_connection",
        "pika>=1.2,<2",
        "`basic_publish`; callbacks, `consume`, `basic_get`",
        "RabbitMQ",
    ),
    Row(
        "brokers.pubsub",
        "google.cloud.pubsub_v1",
        "google-cloud-pubsub>=2.23,<3",
        "`publish`, ordering keys; streaming pull, `pull`",
        "Google's pstest server",
    ),
    Row(
        "brokers.pulsar",
        "pulsar",
        "pulsar-client>=3.4,<4",
        "`send`, `send_async`; `receive`, batches, listeners, readers; asyncio since 3.9",
        "a stand-in for Pulsar",
    ),
    Row(
        "brokers.redis",
        "redis",
        "redis>=4.5.4,<9",
        "lists, published messages; pipelines; asyncio",
        "Redis",
    ),
    Row(
        "brokers.redis_streams",
        "redis",
        "redis>=4.5.4,<9",
        "`xadd`, `xread`, `xreadgroup`, `xautoclaim`; pipelines; asyncio",
        "Redis",
    ),
    Row(
        "brokers.rq",
        "rq",
        "rq>=1.15,<4",
        "jobs one by one, many at once and for later, retries, dependents",
        "Redis",
    ),
    Row(
        "brokers.servicebus",
        "azure.servicebus",
        "azure-servicebus>=7.12.3,<8",
        "one message, lists, batches; iteration, `receive_messages`, settlement; asyncio",
        "a stand-in for Service Bus",
    ),
    Row(
        "brokers.taskiq",
        "taskiq",
        "taskiq>=0.11,<1",
        "tasks, retries",
        "RabbitMQ, Redis",
    ),
    Row(
        "databases.asyncpg",
        "asyncpg",
        "asyncpg>=0.27,<1",
        "statements and transactions ([stores](stores.md))",
        "PostgreSQL",
    ),
    Row(
        "databases.psycopg",
        "psycopg",
        "psycopg>=3.1.8,<4",
        "statements and transactions, sync and asyncio ([stores](stores.md))",
        "PostgreSQL",
    ),
    Row(
        "databases.sqlalchemy",
        "sqlalchemy",
        "sqlalchemy>=2,<3",
        "statements and transactions of Core and ORM, sync and asyncio ([stores](stores.md))",
        "PostgreSQL, SQLite",
    ),
    Row(
        "web.aiohttp",
        "aiohttp.client",
        "aiohttp>=3.8.5,<4",
        "requests, with JSON and with bytes",
        "uvicorn",
    ),
    Row(
        "web.aiohttp_server",
        "aiohttp.web",
        "aiohttp>=3.8.5,<4",
        "handlers; streamed requests and responses; WebSockets",
        "aiohttp's own server",
    ),
    Row(
        "web.bottle",
        "bottle",
        "bottle>=0.12.25,<1",
        "routes; streamed requests and responses",
        "the standard library's server",
    ),
    Row(
        "web.django",
        "django",
        "django>=4.2,<7",
        "views of WSGI and ASGI, sync and async; the REST framework",
        "the standard library's server, uvicorn",
    ),
    Row(
        "web.falcon",
        "falcon",
        "falcon>=3.1.1,<5",
        "resources of WSGI and ASGI; WebSockets",
        "the standard library's server, uvicorn",
    ),
    Row(
        "web.flask",
        "flask.app",
        "flask>=3,<4",
        "views, sync and async; streamed requests and responses; blueprints",
        "the standard library's server",
    ),
    Row(
        "web.httpx",
        "httpx",
        "httpx>=0.24,<1",
        "requests, sync and asyncio",
        "uvicorn",
    ),
    Row(
        "web.litestar",
        "litestar._asgi.asgi_router",
        "litestar>=2.9,<3",
        "handlers; streamed requests and responses; background tasks; WebSockets",
        "uvicorn",
    ),
    Row(
        "web.pyramid",
        "pyramid.router",
        "pyramid>=2,<3",
        "views; streamed responses",
        "the standard library's server",
    ),
    Row(
        "web.quart",
        "quart",
        "quart>=0.19,<1",
        "views; streamed requests and responses; WebSockets",
        "uvicorn",
    ),
    Row(
        "web.sanic",
        "sanic.router",
        "sanic>=23.3,<27",
        "handlers; streamed requests and responses; WebSockets",
        "Sanic's own server, uvicorn",
    ),
    Row(
        "web.starlette",
        "starlette.routing",
        "starlette>=0.27,<2",
        "requests and WebSockets; FastAPI too",
        "uvicorn",
    ),
    Row(
        "web.tornado",
        "tornado.web",
        "tornado>=6.2,<7",
        "handlers; streamed requests and responses; WebSockets",
        "Tornado's own server",
    ),
    Row(
        "web.urllib",
        "urllib.request",
        "",
        "`urlopen`, openers",
        "uvicorn",
    ),
    Row(
        "web.urllib3",
        "urllib3.connectionpool",
        "urllib3>=2,<3",
        "requests, retries, redirects; requests (the library) too",
        "uvicorn",
    ),
)
