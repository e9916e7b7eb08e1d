"""
Command → event → command → event between real processes: one tree, whatever carries it.

Each style runs once, with all ways of sending (`VIAS`) side by side; then each chain is looked
at by itself: in the store, and in the spans that the processes exported.
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
import string
import subprocess
import sys
import time

from contextlib import AbstractContextManager, closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from examples.running import environments
from examples.running.processes import Processes
from otelope.model.identity import new_id
from tests.e2e.chain import transports
from tests.e2e.chain.traces import ENVELOPE_ID, Chain, Store


HERE = Path(__file__).parent / "chain"
SERVICES = ("orders", "payments", "relay", "shop")
TYPES = ["PlaceOrder", "OrderPlaced", "ChargeCard", "PaymentTaken"]
SENT_BY = ["web", "orders", "payments", "payments"]
HANDLED_BY = ["orders", "payments", "payments", "shop"]


class Sent(NamedTuple):
    """One way of sending: which ids, and what becomes of the headers."""

    foreign: bool
    via: str


SENT = [
    Sent(foreign, via) for foreign in (False, True) for via in ("headers", "no headers", "outbox")
]


# Neither the id says the trace, nor do headers.
UNTRACEABLE = Sent(foreign=True, via="no headers")


class Style(NamedTuple):
    name: str
    server: str | None  # the fixture that has its broker's address
    batches: bool = False
    headers: bool = True  # whether what carries it has any
    forks: bool = False  # whether each message is handled in a process of its own


# By what keeps a message meanwhile.
REDIS = {
    **dict.fromkeys(("xread", "xreadgroup", "xautoclaim", "pipelined stream"), "stream"),
    **dict.fromkeys(("blpop", "lmove", "pipelined list"), "list"),
    **dict.fromkeys(("get_message", "listen", "handler"), "nothing"),
}
FASTSTREAM = {
    "kafka": ("", " batch"),
    "rabbitmq": ("",),
    "nats": ("", " push", " pull"),
    "redis": (" channel", " list", " stream"),
}
KEPT = {**REDIS, "channel": "nothing", "list": "list", "stream": "stream"}
# What carries every style of its clients in one way.
PLAIN = {
    "kafka_server": transports.kafka,
    "mqtt_server": transports.mqtt,
    "pubsub_server": transports.pubsub,
    "pulsar_server": transports.pulsar,
    "rabbitmq_server": transports.rabbitmq,
    "servicebus_server": transports.servicebus,
}
# Libraries with a way of their own, whatever they speak to.
OWN = {
    "arq": transports.arq,
    "celery": transports.celery,
    "dramatiq": transports.dramatiq,
    "huey": transports.huey,
    "kombu": transports.kombu,
    "rq": transports.rq,
    "taskiq": transports.taskiq,
}
MQTT = (
    *(f"paho {how}" for how in ("on_message QoS 0", "on_message QoS 1", "on_message QoS 2")),
    *(f"paho {how}" for how in ("thread", "message_callback_add")),
    *(f"paho 3.1.1 {how}" for how in ("on_message QoS 0", "message_callback_add")),
    *(f"aiomqtt {how}" for how in ("QoS 0", "QoS 1", "QoS 2", "3.1.1 QoS 1")),
)
# The frameworks of orders and shop, and of payments, and their client; each of them once.
HTTP = (
    "fastapi starlette httpx",
    "litestar quart httpx",
    "sanic aiohttp httpx",
    "tornado django httpx",
    "django_asgi flask httpx",
    "falcon falcon_asgi httpx",
    "pyramid bottle httpx",
    "rest_framework fastapi_blocking requests",
    "fastapi_blocking fastapi_blocking urllib3",
    "fastapi_blocking fastapi_blocking urllib",
    "fastapi fastapi aiohttp",
)
STYLES = [
    pytest.param(Style("confluent poll", "kafka_server"), marks=pytest.mark.kafka),
    pytest.param(
        Style("confluent consume", "kafka_server", batches=True), marks=pytest.mark.kafka
    ),
    pytest.param(Style("confluent aio", "kafka_server", headers=False), marks=pytest.mark.kafka),
    pytest.param(Style("aiokafka async for", "kafka_server"), marks=pytest.mark.kafka),
    pytest.param(Style("aiokafka getmany", "kafka_server", batches=True), marks=pytest.mark.kafka),
    pytest.param(Style("aiokafka send_batch", "kafka_server"), marks=pytest.mark.kafka),
    pytest.param(Style("kafka iteration", "kafka_server"), marks=pytest.mark.kafka),
    pytest.param(Style("kafka poll", "kafka_server", batches=True), marks=pytest.mark.kafka),
    pytest.param(Style("pika callback", "rabbitmq_server"), marks=pytest.mark.rabbitmq),
    pytest.param(Style("pika consume", "rabbitmq_server"), marks=pytest.mark.rabbitmq),
    pytest.param(Style("pika basic_get", "rabbitmq_server"), marks=pytest.mark.rabbitmq),
    pytest.param(Style("aio_pika callback", "rabbitmq_server"), marks=pytest.mark.rabbitmq),
    pytest.param(Style("aio_pika iterator", "rabbitmq_server"), marks=pytest.mark.rabbitmq),
    pytest.param(Style("aio_pika get", "rabbitmq_server"), marks=pytest.mark.rabbitmq),
    pytest.param(Style("nats callback", "nats_server"), marks=pytest.mark.nats),
    pytest.param(Style("nats request", "nats_server"), marks=pytest.mark.nats),
    pytest.param(Style("nats next_msg", "nats_server"), marks=pytest.mark.nats),
    pytest.param(Style("nats async for", "nats_server"), marks=pytest.mark.nats),
    pytest.param(Style("nats push", "nats_server"), marks=pytest.mark.nats),
    pytest.param(Style("nats fetch", "nats_server", batches=True), marks=pytest.mark.nats),
    pytest.param(Style("pubsub callback", "pubsub_server"), marks=pytest.mark.pubsub),
    pytest.param(Style("pubsub callback ordered", "pubsub_server"), marks=pytest.mark.pubsub),
    pytest.param(Style("pubsub pull", "pubsub_server", batches=True), marks=pytest.mark.pubsub),
    *(
        pytest.param(
            Style(f"pulsar {mode}", "pulsar_server", batches=mode == "batch_receive"),
            marks=pytest.mark.pulsar,
        )
        for mode in ("receive", "batch_receive", "listener", "asyncio")
    ),
    *(
        pytest.param(
            Style(
                f"servicebus {client}{mode}",
                "servicebus_server",
                batches=mode == "receive_messages",
            ),
            marks=pytest.mark.servicebus,
        )
        for client in ("", "aio ")
        for mode in ("iterator", "receive_messages", "batch", "deleted")
    ),
    *(
        pytest.param(
            Style(name, "mqtt_server", headers="3.1.1" not in name), marks=pytest.mark.mqtt
        )
        for name in MQTT
    ),
    *(
        pytest.param(
            Style(
                f"{library} {mode}",
                "aws_server",
                batches=mode == "batch",
                headers=mode != "events",
            ),
            marks=pytest.mark.aws,
        )
        for library in ("botocore", "aiobotocore")
        for mode in ("send", "batch", "sns", "raw", "events")
    ),
    *(
        pytest.param(
            Style(f"redis {client}{mode}", "redis_server", headers=kept == "stream"),
            marks=pytest.mark.redis,
        )
        for client in ("", "asyncio ")
        for mode, kept in REDIS.items()
    ),
    *(
        pytest.param(
            Style(f"kombu {mode} {server}", f"{server}_server"), marks=getattr(pytest.mark, server)
        )
        for mode in ("callback", "on_message", "simple", "get")
        for server in ("rabbitmq", "redis")
    ),
    *(
        pytest.param(Style(f"arq {how}", "redis_server", headers=False), marks=pytest.mark.redis)
        for how in ("async_run", "run_check", "command")
    ),
    *(
        pytest.param(
            Style(f"huey {worker}", "redis_server", headers=False), marks=pytest.mark.redis
        )
        for worker in ("thread", "process")
    ),
    *(
        pytest.param(
            Style(f"rq {worker}", "redis_server", forks=worker == "forks"),
            marks=pytest.mark.redis,
        )
        for worker in ("forks", "simple")
    ),
    *(
        pytest.param(
            Style(f"{library} {system}", f"{system}_server"), marks=getattr(pytest.mark, system)
        )
        for library in ("dramatiq", "taskiq")
        for system in ("rabbitmq", "redis")
    ),
    *(
        pytest.param(
            Style(
                f"faststream {system}{how}",
                f"{system}_server",
                batches=how == " batch",
                headers=how not in (" channel", " list"),
            ),
            marks=getattr(pytest.mark, system),
        )
        for system, ways in FASTSTREAM.items()
        for how in ways
    ),
    *(
        pytest.param(
            Style(f"celery {pool} {server}", f"{server}_server"),
            marks=getattr(pytest.mark, server),
        )
        for pool in ("prefork", "threads", "solo")
        for server in ("rabbitmq", "redis")
    ),
    *(pytest.param(Style(f"http {mode}", None), marks=pytest.mark.slow) for mode in HTTP),
]


# One test for a style, not one for each chain: xdist would start the processes once per worker.
@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_chains_over(
    style: Style,
    otelope_up: tuple[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
):
    address = request.getfixturevalue(style.server) if style.server else ""
    chains = _run(style, address, otelope_up, tmp_path)
    for sent, chain in chains.items():
        _store_has_the_whole_tree(chain, f"{sent}\n{chain}")
        if sent.foreign and not style.headers:
            _each_envelope_has_a_trace(chain, f"{sent}\n{chain}")
        elif sent == UNTRACEABLE:
            _each_cut_has_one_link(style, chain, f"{sent}\n{chain}")
        else:
            _spans_are_one_tree(style, chain, f"{sent}\n{chain}")


def _store_has_the_whole_tree(chain: Chain, seen: str) -> None:
    assert [node["type"] for node in chain.nodes] == TYPES, seen
    assert [node["source"]["name"] for node in chain.nodes] == SENT_BY, seen
    assert [node["kind"] for node in chain.nodes] == ["command", "event"] * 2, seen
    assert not any(node["parent_inferred"] for node in chain.nodes), seen
    assert [delivery["service"] for delivery in chain.deliveries] == HANDLED_BY, seen
    assert {delivery["outcome"] for delivery in chain.deliveries} == {"ok"}, seen
    assert chain.orphans() == [], seen


def _spans_are_one_tree(style: Style, chain: Chain, seen: str) -> None:
    ids = [node["id"] for node in chain.nodes]
    assert chain.parents_by_span() == [None, *ids[:-1]], seen
    assert len({node["trace_id"] for node in chain.nodes}) == 1, seen
    assert sorted(_sends(chain)) == sorted(ids), seen
    if not style.batches:
        assert chain.pieces() == [[]], seen


def _each_cut_has_one_link(style: Style, chain: Chain, seen: str) -> None:
    first, *others = chain.pieces()
    assert first == [], seen
    if style.batches:
        # A piece may hold several deliveries, each linked to what it delivers.
        assert all(others), seen
    else:
        # What a process receives of itself it has not forgotten.
        hops = zip(TYPES, SENT_BY, HANDLED_BY, strict=True)
        cut = [[sent] for sent, sender, by in hops if style.forks or sender != by]
        assert others == cut, seen


def _each_envelope_has_a_trace(chain: Chain, seen: str) -> None:
    ids = [node["id"] for node in chain.nodes]
    assert len({node["trace_id"] for node in chain.nodes}) == len(ids), seen
    assert sorted(_sends(chain)) == sorted(ids), seen
    for node in chain.nodes:
        for delivery in node["deliveries"]:
            span = chain.spans[delivery["span_id"]]
            to = {span["parent_span_id"], *(link["span_id"] for link in span["links"])}
            assert node["span_id"] in to, seen
    for span in chain.spans.values():
        linked = {link["span_id"] for link in span["links"]}
        assert linked <= set(chain.spans), seen
        assert span["parent_span_id"] or linked or span["span_id"] == chain.nodes[0]["span_id"], (
            seen
        )


def _run(
    style: Style, address: str, otelope_up: tuple[str, str], directory: Path
) -> dict[Sent, Chain]:
    # Letters only: a path with digits would count as an id.
    run = "".join(random.choices(string.ascii_lowercase, k=8))
    roots = {sent: _command(sent) for sent in SENT}
    endpoint, url = otelope_up
    with (
        Processes(directory) as processes,
        _transport(style, address, run, processes) as broker,
        closing(Store(url)) as store,
    ):
        _start(processes, directory, style, broker, run, list(roots.values()), endpoint)
        nodes = {
            sent: store.nodes(root["id"], len(TYPES), processes.pause)
            for sent, root in roots.items()
        }
        processes.stop(*SERVICES)
        # uvicorn ends by the signal that it was sent.
        assert set(processes.exit_codes.values()) <= {0, -15}
        assert not [s for s in SERVICES if "otelope failed" in processes.output(s)]
        # Only now are the spans complete: batches link the chains' traces with each other.
        return {sent: store.chain(found) for sent, found in nodes.items()}


def _sends(chain: Chain) -> list[str]:
    """The envelopes whose sending has a span; twice where it has two."""
    return [
        span["attributes"][ENVELOPE_ID]
        for span in chain.spans.values()
        if span["attributes"].get("messaging.operation.type") == "send"
        and span["attributes"].get(ENVELOPE_ID) in {node["id"] for node in chain.nodes}
    ]


def _command(sent: Sent) -> dict[str, Any]:
    return {
        "id": str(uuid4()) if sent.foreign else new_id(),
        "timestamp": time.time_ns() // 1_000_000,
        "source": {"name": "web", "version": "1.0"},
        "parentId": None,
        "type": TYPES[0],
        "payload": sent._asdict(),
    }


def _transport(
    style: Style, address: str, run: str, processes: Processes
) -> AbstractContextManager[str]:
    library = style.name.partition(" ")[0]
    if library in OWN:
        return OWN[library](address, run)
    if style.server in PLAIN:
        return PLAIN[style.server](address, run)
    if style.server == "nats_server":
        stream = style.name.endswith((" push", " pull", " fetch"))
        return transports.nats(address, run, stream=stream)
    if style.server == "aws_server":
        return transports.aws(address, run, style.name.split()[1])
    if style.server == "redis_server":
        mode = style.name.removeprefix("faststream ").removeprefix("redis ")
        return transports.redis(address, run, KEPT[mode.removeprefix("asyncio ")])
    return transports.gateway(run, lambda service: _url(processes, service))


def _url(processes: Processes, service: str) -> str:
    deadline = time.monotonic() + 30
    while not (said := re.search(r"running on (http://\S+)", processes.output(service))):
        assert time.monotonic() < deadline, f"{service} is not ready"
        time.sleep(0.05)
    return said[1]


def _start(
    processes: Processes,
    directory: Path,
    style: Style,
    broker: str,
    run: str,
    first: list[dict[str, Any]],
    endpoint: str,
) -> None:
    outbox = directory / "outbox.sqlite"
    with closing(sqlite3.connect(outbox)) as table, table:
        table.execute("CREATE TABLE outbox (channel TEXT, body BLOB, written REAL)")
    for service in SERVICES:
        work = {
            "style": style.name,
            "broker": broker,
            "run": run,
            "service": service,
            "outbox": str(outbox),
            "first": first if service == "shop" else [],
        }
        processes.start(
            service,
            [sys.executable, HERE / "worker.py", json.dumps(work)],
            environments.instrumented(
                service,
                "1.0",
                endpoint,
                PYTHONPATH=_launchers_path(),
                # The contract measures the same in one process; here it would double the time.
                COVERAGE_PROCESS_CONFIG="",
            ),
            directory,
        )


@cache
def _launchers_path() -> str:
    """What `opentelemetry-instrument` sets before it becomes the program: 0.3 s each time."""
    launched = subprocess.run(
        [environments.instrument(), "printenv", "PYTHONPATH"],
        check=True,
        capture_output=True,
        text=True,
        env=environments.plain(),
    )
    return launched.stdout.strip()
