"""Flow C, whoever relays: two at once, one that was away or refused; and on real servers."""

from __future__ import annotations

import sys

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from confluent_kafka import Producer

from examples.flows.adapters.database import SqlDatabase
from examples.flows.adapters.kafka import Kafka
from examples.flows.adapters.kafka_log import KafkaLog
from examples.flows.c_outbox.outbox import Outbox
from examples.flows.expected import Node, nodes_of
from examples.flows.flow import Program
from examples.flows.running import ROOT, Chosen
from examples.running.environments import plain
from examples.running.processes import Processes
from examples.running.servers import EmbeddedKafka, Otelope
from tests.e2e.flows import agreement, readme, shop
from tests.e2e.flows.harness import Witnesses, started
from tests.e2e.flows.test_c_outbox import PLACED, STORIES
from tests.e2e.servers import Missing
from tests.e2e.servers.earlier import earlier


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow c")]

HOUR_MS = 3_600_000
MINUTE_MS = 60_000

WAITING = """\
PlaceOrder by web-shop
  - handled by orders
  - stored in orders-db by orders
  OrderPlaced by orders
    - stored in the outbox of orders-db by orders"""
# Nobody tells that Debezium has sent something; who handles that does.
BY_DEBEZIUM = "\n".join(line for line in PLACED.splitlines() if "by relay" not in line)


@pytest.mark.postgresql
def test_two_relays_on_postgresql(
    database: str, otelope_up: Otelope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # So that one relay does not take all that there is.
    monkeypatch.setenv("BATCH", "2")
    second = Program("relay-2", "1.0.0", service="relay", module="relay")
    with started("c", tmp_path, otelope_up, Chosen(database=database), [second]) as flow:
        agreement.check(flow, shop.buy(flow.running), STORIES)
        published = flow.published()
        agreement.check_published(flow, published["orders.events"], "OrderPlaced", "OrderRejected")
        agreement.check_published(flow, published["shipping.events"], "OrderShipped")
        assert "relay: events of orders-db" in flow.running.reached("relay")
        assert "relay: events of orders-db" in flow.running.reached("relay-2")


@pytest.mark.postgresql
def test_relays_that_compete_keep_the_order_of_each_key(database: str):
    keys, rows = 12, 25
    orders = SqlDatabase(database, "orders")
    orders.create()
    kafka = EmbeddedKafka(["numbers"])

    def write() -> None:
        for number in range(rows):
            with orders.engine.begin() as transaction:
                transaction.execute(
                    sa.insert(orders.tables.outbox),
                    [_row(f"key-{key}", number) for key in range(keys)],
                )

    def relay() -> int:
        outbox, broker = Outbox(orders, batch=5), Kafka(kafka.address, "relay")
        published = 0
        while not (writing.done() and _is_empty(orders)):
            published += outbox.relay(broker)
        return published

    with ThreadPoolExecutor(4) as pool:
        writing = pool.submit(write)
        relays = [pool.submit(relay) for _ in range(3)]
        writing.result()
        published = [each.result() for each in relays]
    orders.engine.dispose()
    assert sum(published) == keys * rows
    assert min(published) > 0
    numbers = defaultdict(list)
    for body in KafkaLog(kafka.address).replay(["numbers"]):
        key, number = body.decode().split()
        numbers[key].append(int(number))
    assert numbers == {f"key-{key}": list(range(rows)) for key in range(keys)}


@pytest.mark.rabbitmq
def test_over_rabbitmq(rabbitmq_server: str, otelope_up: Otelope, tmp_path: Path):
    with started("c", tmp_path, otelope_up, Chosen(broker=rabbitmq_server)) as flow:
        agreement.check(flow, shop.buy(flow.running), STORIES)


def test_a_relay_tries_again_later_each_time_and_the_other_outbox_goes_on(tmp_path: Path):
    kafka = EmbeddedKafka(["numbers"])
    orders, shipping = _databases(tmp_path)
    orders.create()
    with Processes(tmp_path) as processes:
        _start_relay(processes, kafka, orders, shipping)
        # It finds no tables there yet.
        pauses = (rf"shipping-db: tries again in 0\.{n} s(.|\n)*" for n in (1, 2, 4))
        processes.said("relay", "".join(pauses), 30)
        for database in (orders, shipping):
            database.create()
            _fill(database, _row(database.name, 1))
            processes.said("relay", rf"reached db: delete\(outbox of {database.name}\)", 30)
        assert "orders-db: tries" not in processes.output("relay")
    published = KafkaLog(kafka.address).replay(["numbers"])
    assert sorted(published) == [b"orders-db 1", b"shipping-db 1"]
    assert processes.exit_codes == {"relay": 0}


def test_what_the_broker_refuses_stays_with_what_follows_it_and_the_others_go_on(tmp_path: Path):
    kafka = EmbeddedKafka(["numbers"])
    orders, shipping = databases = _databases(tmp_path)
    for database in databases:
        database.create()
    refused = [{**_row("large", 1), "payload": "x" * 2_000_000}, _row("large", 2)]
    _fill(orders, *refused, _row("small", 1), _row("small", 2))
    with Processes(tmp_path) as processes:
        _start_relay(processes, kafka, orders, shipping)
        processes.said("relay", r"(?s)set aside until the next start: large:.*(delete.*){2}", 30)
    assert KafkaLog(kafka.address).replay(["numbers"]) == [b"small 1", b"small 2"]
    with orders.engine.connect() as connection:
        left = connection.execute(sa.select(orders.tables.outbox.c.id))
        assert [row.id for row in left] == ["large 1", "large 2"]
    assert processes.exit_codes == {"relay": 0}


def test_a_relay_that_was_away_for_an_hour(
    otelope_up: Otelope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    try:
        an_hour_ago = earlier(HOUR_MS // 1000)
    except Missing as missing:
        pytest.skip(str(missing))
    with started("c", tmp_path, otelope_up) as flow:
        flow.running.stop("relay")
        flow.running.stop("orders")
        with monkeypatch.context() as environment:
            for name, value in an_hour_ago.items():
                environment.setenv(name, value)
            flow.running.start("orders")
        command = shop.order_of("patient")
        command = command._replace(timestamp=command.timestamp - HOUR_MS)
        flow.running.post(command)
        (waiting,) = flow.tells(command, WAITING)["root"]["children"]
        (_, event) = flow.stored()
        readme.check("c_outbox", "stuck", readme.printed_stuck(flow, event))
        flow.running.start("relay")
        root, placed, ship, shipped = nodes_of(flow.tells(command, PLACED)["root"])
        sent = flow.waited(lambda: _span_of(flow, placed), "the span of OrderPlaced")
        made = flow.waited(lambda: _span_of(flow, ship), "the span of ShipOrder")
    assert waiting["stuck"]
    assert waiting["outbox_ms"] is None
    assert not placed["stuck"]
    assert HOUR_MS <= placed["outbox_ms"] < HOUR_MS + MINUTE_MS
    assert 0 <= placed["deliveries"][0]["broker_ms"] < MINUTE_MS
    assert 0 <= shipped["outbox_ms"] < MINUTE_MS
    # The relay knows nothing of the command but its id, which OrderPlaced names as its parent.
    assert (sent["service"], sent["parent_span_id"]) == ("relay", root["span_id"])
    assert placed["trace_id"] == root["trace_id"]
    # What follows on something so old stands in a trace of its own (OTELOPE_NEW_TRACE_AFTER).
    assert ship["trace_id"] == shipped["trace_id"] != root["trace_id"]
    assert placed["span_id"] in [link["span_id"] for link in made["links"]]


def test_what_debezium_would_send_is_enough(otelope_up: Otelope, tmp_path: Path):
    with started("c", tmp_path, otelope_up) as flow:
        flow.running.stop("relay")
        command = shop.order_of("captured")
        flow.running.post(command)
        flow.tells(command, WAITING)
        _route_as_debezium(flow)
        root, *others = nodes_of(flow.tells(command, BY_DEBEZIUM)["root"])
    assert {node["trace_id"] for node in others} == {root["trace_id"]}


def _route_as_debezium(flow: Witnesses) -> None:
    """
    Send each row as Debezium's outbox event router would, which itself is not run here.

    The value is the payload, the key is aggregateid. As Kafka Connect, this process is not
    instrumented.
    """
    producer = Producer({"bootstrap.servers": flow.running.broker.removeprefix("kafka://")})
    orders = flow.running.databases["orders"]
    with orders.engine.connect() as connection:
        for row in connection.execute(sa.select(orders.tables.outbox)):
            headers = [("id", row.id)]
            producer.produce(row.aggregatetype, row.payload, row.aggregateid, headers=headers)
    assert producer.flush(30) == 0


def _span_of(flow: Witnesses, node: Node) -> dict[str, Any] | None:
    url = f"{flow.running.otelope.questions}/api/spans/{node['trace_id']}"
    spans = httpx.get(url, trust_env=False).json()
    return next((span for span in spans if span["span_id"] == node["span_id"]), None)


def _row(key: str, number: int) -> dict[str, str]:
    return {
        "id": f"{key} {number}",
        "aggregatetype": "numbers",
        "aggregateid": key,
        "type": "Number",
        "payload": f"{key} {number}",
    }


def _databases(directory: Path) -> list[SqlDatabase]:
    return [
        SqlDatabase(f"sqlite:///{directory / name}.db", name) for name in ("orders", "shipping")
    ]


def _start_relay(
    processes: Processes, kafka: EmbeddedKafka, orders: SqlDatabase, shipping: SqlDatabase
) -> None:
    environment = plain(
        BROKER=f"kafka://{kafka.address}",
        ORDERS_DB=str(orders.engine.url),
        SHIPPING_DB=str(shipping.engine.url),
    )
    program = [sys.executable, "-m", "examples.flows.c_outbox.relay"]
    processes.start("relay", program, environment, ROOT)


def _fill(database: SqlDatabase, *rows: dict[str, str]) -> None:
    with database.engine.begin() as transaction:
        transaction.execute(sa.insert(database.tables.outbox), list(rows))


def _is_empty(database: SqlDatabase) -> bool:
    with database.engine.connect() as connection:
        return connection.execute(sa.select(database.tables.outbox)).first() is None
