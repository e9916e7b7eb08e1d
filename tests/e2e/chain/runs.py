"""
What the chains run over, and in which styles of use.

A run has several styles, as teams have: what one service sends, another receives in its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import cycle, product
from math import ceil
from typing import Any, NamedTuple

from tests.e2e.chain import transports


class Run(NamedTuple):
    """
    One start of all services.

    Args:
        server: What their broker is; None where they are servers themselves.
        carrier: What carries their messages, by the server's address and the run's own name.
        styles: For each the name of a module, after `over_`, and a mode of it; three at most.
        batches: Whether messages are received together.
        headers: Whether what carries messages has any.
    """

    server: str | None
    carrier: Callable[[Any, str], AbstractContextManager[str]]
    styles: tuple[str, ...]
    batches: bool = False
    headers: bool = True

    @property
    def name(self) -> str:
        """Over what, and by whom."""
        return f"{self.server or 'no broker'}: {', '.join(self.styles)}"

    @property
    def style_of(self) -> dict[str, str]:
        """The style of each service; of three, the last is that of shop, which ends the chains."""
        services = (*transports.RECEIVERS, "relay")
        return dict(zip(services, cycle(self.styles), strict=False))


def _runs(
    server: str | None,
    carrier: Callable[[Any, str], AbstractContextManager[str]],
    *styles: str,
    **same: bool,
) -> Iterator[Run]:
    """The fewest runs in which a service receives in each style."""
    count = ceil(len(styles) / len(transports.RECEIVERS))
    for first in range(count):
        yield Run(server, carrier, styles[first::count], **same)


def _each(style: str, *parts: Iterable[str]) -> Iterator[str]:
    return (style.format(*chosen) for chosen in product(*parts))


NATS = partial(transports.nats, stream=False)
JETSTREAM = partial(transports.nats, stream=True)
SYNC_AND_ASYNC = ("", "asyncio ")
RUNS = [
    *_runs(
        "kafka",
        transports.kafka,
        *("aiokafka send_batch", "faststream kafka", "confluent poll"),
        *("kafka iteration", "aiokafka async for"),
    ),
    *_runs(
        "kafka",
        transports.kafka,
        *("confluent consume", "kafka poll", "aiokafka getmany", "faststream kafka batch"),
        batches=True,
    ),
    *_runs("kafka", transports.kafka, "confluent aio", headers=False),
    *_runs(
        "rabbitmq",
        transports.rabbitmq,
        *_each("pika {}", ("callback", "consume", "basic_get")),
        "faststream rabbitmq",
        *_each("aio_pika {}", ("callback", "iterator", "get")),
    ),
    *_runs(
        "nats", NATS, *_each("nats {}", ("callback", "next_msg", "async for")), "faststream nats"
    ),
    # No other answers what is asked.
    *_runs("nats", NATS, "nats request"),
    *_runs("nats", JETSTREAM, *_each("faststream nats {}", ("push", "pull")), "nats push"),
    *_runs("nats", JETSTREAM, "nats fetch", batches=True),
    *_runs("pubsub", transports.pubsub, "pubsub callback", "pubsub callback ordered"),
    *_runs("pubsub", transports.pubsub, "pubsub pull", batches=True),
    *_runs("pulsar", transports.pulsar, *_each("pulsar {}", ("asyncio", "listener", "receive"))),
    *_runs("pulsar", transports.pulsar, "pulsar batch_receive", batches=True),
    *_runs(
        "servicebus",
        transports.servicebus,
        *_each("servicebus {}{}", ("", "aio "), ("iterator", "batch", "deleted")),
    ),
    *_runs(
        "servicebus",
        transports.servicebus,
        *_each("servicebus {}receive_messages", ("", "aio ")),
        batches=True,
    ),
    *_runs(
        "mqtt",
        transports.mqtt,
        *_each("paho {}", ("thread", "message_callback_add", "on_message QoS 2")),
        *_each("aiomqtt QoS {}", "012"),
        *_each("paho on_message QoS {}", "01"),
    ),
    *_runs(
        "mqtt",
        transports.mqtt,
        *_each("paho 3.1.1 {}", ("on_message QoS 0", "message_callback_add")),
        "aiomqtt 3.1.1 QoS 1",
        headers=False,
    ),
    *(
        run
        for mode in ("send", "batch", "sns", "raw", "events")
        for run in _runs(
            "aws",
            partial(transports.aws, mode=mode),
            *_each("{} {}", ("botocore", "aiobotocore"), (mode,)),
            batches=mode == "batch",
            headers=mode != "events",
        )
    ),
    *(
        run
        for kept, styles in (
            (
                "stream",
                _each(
                    "redis {}{}",
                    SYNC_AND_ASYNC,
                    ("xread", "xreadgroup", "xautoclaim", "pipelined stream"),
                ),
            ),
            ("list", _each("redis {}{}", SYNC_AND_ASYNC, ("blpop", "lmove", "pipelined list"))),
            ("nothing", _each("redis {}{}", SYNC_AND_ASYNC, ("get_message", "listen", "handler"))),
            # FastStream has a form of its own for what it sends over Redis.
            ("stream", ["faststream redis stream"]),
            ("list", ["faststream redis list"]),
            ("nothing", ["faststream redis channel"]),
        )
        for run in _runs(
            "redis", partial(transports.redis, kept=kept), *styles, headers=kept == "stream"
        )
    ),
    *_runs(
        "redis",
        transports.arq,
        *_each("arq {}", ("async_run", "run_check", "command")),
        headers=False,
    ),
    *_runs("redis", transports.huey, *_each("huey {}", ("thread", "process")), headers=False),
    *_runs("redis", transports.rq, "rq simple", "rq forks"),
    *(
        run
        for server in ("rabbitmq", "redis")
        for carrier, styles in (
            (transports.kombu, _each("kombu {}", ("callback", "on_message", "simple", "get"))),
            (transports.celery, _each("celery {}", ("threads", "prefork", "solo"))),
            (transports.dramatiq, ["dramatiq"]),
            (transports.taskiq, ["taskiq"]),
        )
        for run in _runs(server, carrier, *styles)
    ),
    # Every client with FastAPI, every framework with HTTPX, and both services react.
    *(
        run
        for frameworks in (
            ("fastapi httpx", "litestar httpx"),
            ("fastapi aiohttp", "sanic httpx"),
            ("fastapi_blocking requests", "tornado httpx"),
            ("fastapi_blocking urllib3", "django_asgi httpx"),
            ("fastapi_blocking urllib", "rest_framework httpx"),
            ("starlette httpx", "quart httpx"),
            ("aiohttp httpx", "django httpx"),
            ("falcon httpx", "falcon_asgi httpx"),
            ("flask httpx", "pyramid httpx"),
            ("bottle httpx",),
        )
        for run in _runs(None, transports.gateway, *_each("http {}", frameworks))
    ),
]
# A process for each message: what another has sent, it does not know.
FORKING = ("rq forks",)
