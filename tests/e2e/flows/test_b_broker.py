"""Flow B by its real processes: everything is published, stored and told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confluent_kafka import Producer

from examples.flows.running import TOPICS, Chosen
from examples.running.servers import Otelope
from otelope import Source
from tests.e2e.flows import agreement, crashes, readme, shop
from tests.e2e.flows.crashes import Arrow
from tests.e2e.flows.harness import Witnesses, started


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow b")]

COMMAND = """\
PlaceOrder by web-shop
  - handled by api
  - handled by orders
  - handled by writer
  - sent to orders.commands by api
"""
SHIPPED = """\
  - stored in orders-db by writer
  OrderPlaced by orders
    - handled by shipping
    - handled by writer
    - sent to orders.events by orders
    - stored in orders-db by writer
    ShipOrder by shipping
      - handled by shipping
      - handled by writer
      - sent to shipping.commands by shipping
      - stored in shipping-db by writer
      OrderShipped by shipping
        - handled by writer
        - sent to shipping.events by shipping
        - stored in shipping-db by writer"""
PLACED = COMMAND + SHIPPED
REJECTED = (
    COMMAND
    + """\
  - stored in orders-db by writer
  OrderRejected by orders
    - handled by shipping
    - handled by writer
    - sent to orders.events by orders
    - stored in orders-db by writer"""
)
FAILED = """\
PlaceOrder by web-shop
  - handled by api
  - handled by orders: UnknownArticle
  - handled by writer
  - sent to orders.commands by api
  - stored in orders-db by writer"""
# The command comes two times.
TWICE = (
    """\
PlaceOrder by web-shop
  - handled by api
  - handled by api
  - handled by orders
  - handled by orders
  - handled by writer
  - handled by writer
  - sent to orders.commands by api
  - sent to orders.commands by api
"""
    + SHIPPED
)
STORIES = {"placed": PLACED, "rejected": REJECTED, "failed": FAILED}

ARROWS = (
    Arrow("api", "api: command", begins="PlaceOrder"),
    Arrow("api", "broker: publish(command)"),
    Arrow("api", "client: 201"),
    Arrow("orders", "service: PlaceOrder", begins="PlaceOrder"),
    Arrow("orders", "broker: publish(event)"),
    Arrow("orders", "broker: acknowledge(orders.commands)"),
    Arrow("shipping", "service: OrderPlaced", begins="OrderPlaced"),
    Arrow("shipping", "broker: publish(command)"),
    Arrow("shipping", "broker: acknowledge(orders.events)"),
    Arrow("shipping", "service: ShipOrder", begins="ShipOrder"),
    Arrow("shipping", "broker: publish(event)"),
    Arrow("shipping", "broker: acknowledge(shipping.commands)"),
    Arrow("writer", "writer: PlaceOrder", begins="PlaceOrder"),
    Arrow("writer", "db: store(PlaceOrder)"),
    Arrow("writer", "broker: acknowledge(orders.commands)"),
    Arrow("writer", "writer: OrderPlaced", begins="OrderPlaced"),
    Arrow("writer", "db: store(OrderPlaced, state)"),
    Arrow("writer", "broker: acknowledge(orders.events)"),
    Arrow("writer", "writer: ShipOrder", begins="ShipOrder"),
    Arrow("writer", "db: store(ShipOrder)"),
    Arrow("writer", "broker: acknowledge(shipping.commands)"),
    Arrow("writer", "writer: OrderShipped", begins="OrderShipped"),
    Arrow("writer", "db: store(OrderShipped, state)"),
    Arrow("writer", "broker: acknowledge(shipping.events)"),
)


WRONG = [{"quantity": "2"}, {"quantity": True}, {"quantity": 0}, {"customer": None}]


@pytest.fixture(scope="module")
def flow(otelope_up: Otelope, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnesses]:
    with started("b", tmp_path_factory.mktemp("b"), otelope_up) as witnesses:
        yield witnesses


def test_what_is_published_stored_and_told_agrees(flow: Witnesses):
    sales = shop.buy(flow.running)
    agreement.check(flow, sales, STORIES)
    published = flow.published()
    agreement.check_published(flow, published["orders.commands"], "PlaceOrder")
    agreement.check_published(flow, published["orders.events"], "OrderPlaced", "OrderRejected")
    agreement.check_published(flow, published["shipping.commands"], "ShipOrder")
    agreement.check_published(flow, published["shipping.events"], "OrderShipped")
    # The writer gets an order's messages now in this order, now in that.
    command = shop.latest_placed(sales)
    readme.check("b_broker", "tree", readme.printed_tree(flow, command), ordered=False)
    readme.check("b_broker", "spans", readme.printed_spans(flow, command), ordered=False)


def test_a_command_that_comes_again_leads_to_nothing_more(flow: Witnesses):
    command = shop.order_of("again")
    answers = [flow.running.post(command) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json() == {"id": command.id}
    flow.tells(command, TWICE)
    assert flow.states("orders")["again"] == {"orders": 1, "total": 20}
    assert flow.states("shipping")["again"] == {"shipped": 1}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_order_is_refused(flow: Witnesses, wrong: dict[str, Any]):
    command = shop.order_of("wrong")
    command = command._replace(payload={**command.payload, **wrong})
    answer = flow.running.post(command)
    assert answer is not None
    assert answer.status_code == 422
    assert command.id not in flow.published_ids()


def test_a_client_may_be_called_as_a_service(flow: Witnesses):
    command = shop.order_of("namesake")._replace(source=Source("shipping", "3.0.0"))
    flow.running.post(command)
    flow.tells(command, PLACED.replace("by web-shop", "by shipping"))
    assert flow.states("orders")["namesake"] == {"orders": 1, "total": 20}


@pytest.mark.kafka
def test_over_apache_kafka(kafka_server: str, otelope_up: Otelope, tmp_path: Path):
    chosen = Chosen(broker=f"kafka://{kafka_server}")
    with started("b", tmp_path, otelope_up, chosen) as flow:
        agreement.check(flow, shop.buy(flow.running), STORIES)


def test_the_readme_says_what_a_crash_leaves(flow: Witnesses):
    table = crashes.table_of(flow, ARROWS, PLACED, unordered=["writer"])
    readme.check("b_broker", "crashes", table)


# The last one: it leaves in the topics what the other witnesses cannot read either.
def test_what_nobody_can_read_stops_nothing(flow: Witnesses):
    order = shop.order_of("poison")
    poison = [
        *(order._replace(payload={**order.payload, **wrong}) for wrong in WRONG),
        order._replace(type="CancelOrder", kind="event"),
        order._replace(type="OrderPlaced", kind="event", payload={"total": 20}),
        order._replace(kind=None),
        order._replace(timestamp=1e300),
    ]
    producer = Producer({"bootstrap.servers": flow.running.broker.removeprefix("kafka://")})
    for topic in TOPICS:
        for body in (b"nonsense", *(envelope.to_json() for envelope in poison)):
            producer.produce(topic, body, "poison")
    assert producer.flush(10) == 0
    for program in ("orders", "shipping", "writer"):
        # It reads again what was said before.
        flow.running.stop(program)
        flow.running.start(program)
    command = shop.order_of("poison")
    flow.running.post(command)
    flow.tells(command, PLACED)
    assert order.id not in {envelope.id for envelope in flow.stored()}
    assert flow.states("orders")["poison"] == {"orders": 1, "total": 20}
