"""Chains over several brokers: the same tree as over one."""

from __future__ import annotations

import json
import random
import string
import sys
import time

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from examples.running import environments
from examples.running.processes import Processes
from otelope.model.identity import new_id
from tests.e2e.chain.traces import ENVELOPE_ID, Chain, Node, Span, Store


PROGRAM = Path(__file__).parent / "mixed" / "service.py"
READY_SECONDS = 60


class Hop(NamedTuple):
    """A service, how a message reaches it, and what follows."""

    service: str
    transport: str
    follows: str | None


LINE = [
    Hop("shop", "http", "OrderPlaced"),
    Hop("orders", "kafka", "ReserveStock"),
    Hop("stock", "rabbitmq", "StockReserved"),
    Hop("payments", "nats", "ChargeCard"),
    Hop("bank", "sqs", "CardCharged"),
    Hop("parcels", "redis", None),
]
BROKERS = ("kafka", "rabbitmq", "nats")
TYPES = ["PlaceOrder", *(hop.follows for hop in LINE if hop.follows)]
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.rabbitmq,
    pytest.mark.nats,
    pytest.mark.aws,
    pytest.mark.redis,
]


class Services:
    """
    Processes that receive by one transport and send by others.

    Args:
        processes: Runs them.
        directory: Where they run.
        addresses: Of each transport's server.
        endpoint: Where their telemetry goes.
    """

    def __init__(
        self, processes: Processes, directory: Path, addresses: dict[str, str], endpoint: str
    ) -> None:
        self._processes = processes
        self._directory = directory
        self._addresses = addresses
        self._endpoint = endpoint
        # Letters only: a path with digits would count as an id.
        self._run = "".join(random.choices(string.ascii_lowercase, k=8))
        self._names: list[str] = []

    def place(self, transport: str) -> list[str]:
        """A transport's place: its name, its server's address, a channel of this run."""
        return [transport, self._addresses[transport], f"{self._run}-{transport}"]

    def make_topic(self) -> None:
        """Make the channel of Kafka's place: who subscribes before it is there waits for long."""
        from confluent_kafka.admin import AdminClient, NewTopic

        _, address, topic = self.place("kafka")
        admin = AdminClient({"bootstrap.servers": address})
        (made,) = admin.create_topics([NewTopic(topic, 1, 1)]).values()
        made.result(30)

    def start(
        self,
        name: str,
        transport: str,
        to: Iterable[str] = (),
        follows: str | None = None,
        first: Iterable[dict[str, Any]] = (),
    ) -> None:
        """Start a service: what it receives by, what it sends to, and what that is."""
        work = {
            "name": name,
            "receives": self.place(transport),
            "sends": [self.place(each) for each in to],
            "type": follows,
            "first": list(first),
        }
        self._names.append(name)
        self._processes.start(
            name,
            [environments.instrument(), sys.executable, PROGRAM, json.dumps(work)],
            environments.instrumented(name, "1.0", self._endpoint, COVERAGE_PROCESS_CONFIG=""),
            self._directory,
        )

    def ready(self) -> None:
        """Wait until all of them receive; where HTTP is served is known from then on."""
        for name in self._names:
            said = self._processes.said(name, r"ready|running on (http://\S+)", READY_SECONDS)
            self._addresses["http"] = said[1] or self._addresses["http"]

    def stop(self) -> None:
        """Stop them, none with a complaint."""
        self._processes.stop(*self._names)
        # uvicorn ends by the signal that it was sent.
        assert set(self._processes.exit_codes.values()) <= {0, -15}
        said = [name for name in self._names if "otelope failed" in self._processes.output(name)]
        assert said == []


@pytest.fixture
def services(
    kafka_server: str,
    rabbitmq_server: str,
    nats_server: str,
    aws_server: str,
    redis_server: str,
    otelope_up: tuple[str, str],
    tmp_path: Path,
) -> Iterator[Services]:
    addresses = {
        "nothing": "",
        "http": "",
        "kafka": kafka_server,
        "rabbitmq": rabbitmq_server,
        "nats": nats_server,
        "sqs": aws_server,
        "redis": redis_server,
    }
    with Processes(tmp_path) as processes:
        services = Services(processes, tmp_path, addresses, otelope_up[0])
        services.make_topic()
        yield services


def command(*, foreign: bool) -> dict[str, Any]:
    return {
        "id": str(uuid4()) if foreign else new_id(),
        "timestamp": time.time_ns() // 1_000_000,
        "source": {"name": "web", "version": "1.0"},
        "parentId": None,
        "type": "PlaceOrder",
        "payload": {"foreign": foreign},
    }


def test_six_transports_make_one_tree(services: Services, otelope_up: tuple[str, str]):
    then = [*([hop.transport] for hop in LINE[1:]), []]
    for hop, to in zip(LINE, then, strict=True):
        services.start(hop.service, hop.transport, to, hop.follows)
    services.ready()
    commands = [command(foreign=foreign) for foreign in (False, True)]
    services.start("web", "nothing", ["http"], first=commands)

    with closing(Store(otelope_up[1])) as store:
        found = [store.nodes(each["id"], len(LINE), time.sleep) for each in commands]
        services.stop()
        chains = [store.chain(nodes) for nodes in found]

    for chain in chains:
        ids = [node["id"] for node in chain.nodes]
        assert [node["type"] for node in chain.nodes] == TYPES, chain
        assert [each["service"] for each in chain.deliveries] == [hop.service for hop in LINE], (
            chain
        )
        assert {each["outcome"] for each in chain.deliveries} == {"ok"}, chain
        assert chain.orphans() == [], chain
        assert chain.pieces() == [[]], chain
        assert len({node["trace_id"] for node in chain.nodes}) == 1, chain
        assert chain.parents_by_span() == [None, *ids[:-1]], chain


def test_one_event_to_three_brokers_is_one_envelope(
    services: Services, otelope_up: tuple[str, str]
):
    receivers = {
        "invoices": "kafka",
        "statistics": "kafka",
        "mails": "rabbitmq",
        "tickers": "nats",
        "screens": "nats",
    }
    for name, transport in receivers.items():
        services.start(name, transport)
    services.start("counter", "http", BROKERS, "OrderPlaced")
    services.ready()
    placed = command(foreign=True)
    services.start("web", "nothing", ["http"], first=[placed])

    def handled(nodes: list[Node]) -> bool:
        return [len(node["deliveries"]) for node in nodes] == [1, len(receivers)]

    with closing(Store(otelope_up[1])) as store:
        nodes = store.nodes(placed["id"], 2, time.sleep, handled)
        services.stop()
        chain = store.chain(nodes)
        told = store.interactions("OrderPlaced", "counter")

    _, event = chain.nodes
    channel_of = {transport: services.place(transport)[-1] for transport in BROKERS}
    assert [(each["channel"], each["outcome"]) for each in event["sends"]] == [
        (channel_of[transport], "ok") for transport in BROKERS
    ]
    assert {each["service"]: each["channel"] for each in event["deliveries"]} == {
        name: channel_of[transport] for name, transport in receivers.items()
    }
    assert {each["outcome"] for each in event["deliveries"]} == {"ok"}
    # In the spans as in the records: each receiver stands below the sending that reached it.
    sent = {span["span_id"]: span["name"] for span in _spans(chain, "send", event)}
    assert sorted(sent.values()) == sorted(f"send {name}" for name in channel_of.values())
    assert {
        span["service"]: sent[span["parent_span_id"]] for span in _spans(chain, "process", event)
    } == {name: f"send {channel_of[transport]}" for name, transport in receivers.items()}
    assert len(_spans(chain, "process", event)) == len(receivers)
    assert chain.orphans() == []
    assert [(each["parent_type"], each["count"]) for each in told] == [("PlaceOrder", 1)]


def _spans(chain: Chain, operation: str, envelope: Node) -> list[Span]:
    return [
        span
        for span in chain.spans.values()
        if span["attributes"].get("messaging.operation.type") == operation
        and span["attributes"].get(ENVELOPE_ID) == envelope["id"]
    ]
