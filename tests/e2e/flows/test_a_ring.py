"""Flow A by its real processes: everything is stored, published and told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from confluent_kafka import Producer

from examples.running.servers import Otelope
from tests.e2e.flows import agreement, crashes, readme, shop
from tests.e2e.flows.crashes import Arrow
from tests.e2e.flows.harness import Witnesses, started
from tests.e2e.flows.stories import repeated


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow a")]

PLACED = """\
PlaceOrder by web-shop
  - handled by orders
  - stored in orders-db by orders
  OrderPlaced by orders
    - handled by shipping
    - sent to orders.events by orders
    - stored in orders-db by orders
    ShipOrder by shipping
      - handled by shipping
      - stored in shipping-db by shipping
      OrderShipped by shipping
        - sent to shipping.events by shipping
        - stored in shipping-db by shipping"""
REJECTED = """\
PlaceOrder by web-shop
  - handled by orders
  - stored in orders-db by orders
  OrderRejected by orders
    - handled by shipping
    - sent to orders.events by orders
    - stored in orders-db by orders"""
FAILED = """\
PlaceOrder by web-shop
  - handled by orders: UnknownArticle
  - stored in orders-db by orders"""
STORIES = {"placed": PLACED, "rejected": REJECTED, "failed": FAILED}

ARROWS = (
    Arrow("orders", "ring: command", begins="PlaceOrder"),
    Arrow("orders", "db: store(command)"),
    Arrow("orders", "service: state"),
    Arrow("orders", "service: [event, new state]"),
    Arrow("orders", "db: store(event, state)"),
    Arrow("orders", "broker: publish(event)"),
    Arrow("orders", "client: 200"),
    Arrow("shipping", "ring: event", begins="OrderPlaced"),
    Arrow("shipping", "db: store(command)"),
    Arrow("shipping", "ring: command", begins="ShipOrder"),
    Arrow("shipping", "service: state"),
    Arrow("shipping", "service: [event, new state]"),
    Arrow("shipping", "db: store(event, state)"),
    Arrow("shipping", "broker: publish(event)"),
    Arrow("shipping", "broker: acknowledge(orders.events)"),
)


@pytest.fixture(scope="module")
def flow(otelope_up: Otelope, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnesses]:
    with started("a", tmp_path_factory.mktemp("a"), otelope_up) as witnesses:
        yield witnesses


def test_what_is_stored_published_and_told_agrees(flow: Witnesses):
    sales = shop.buy(flow.running)
    agreement.check(flow, sales, STORIES)
    published = flow.published()
    agreement.check_published(flow, published["orders.events"], "OrderPlaced", "OrderRejected")
    agreement.check_published(flow, published["shipping.events"], "OrderShipped")
    command = shop.latest_placed(sales)
    readme.check("a_ring", "tree", readme.printed_tree(flow, command))
    readme.check("a_ring", "spans", readme.printed_spans(flow, command))


def test_a_command_that_comes_again_gets_the_same_answer(flow: Witnesses):
    command = shop.order_of("again")
    answers = [flow.running.post(command) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    # Published again, as it may never have been, it is handled again; nothing is stored again.
    flow.tells(command, repeated(PLACED, 2))
    assert flow.states("orders")["again"] == {"orders": 1, "total": 20}
    assert flow.states("shipping")["again"] == {"shipped": 1}


def test_what_happens_at_the_same_time_counts_one_after_the_other(flow: Witnesses):
    agreement.check_hasty(flow, PLACED)


def test_a_command_that_comes_twice_at_the_same_time_counts_once(flow: Witnesses):
    agreement.check_nervous(flow, PLACED)


def test_what_was_stored_but_never_published_waits_for_the_client(flow: Witnesses):
    command = shop.order_of("gone")
    flow.running.die_after("orders", "db: store(event, state)")
    assert flow.running.post(command) is None
    flow.running.restart("orders")
    (event,) = [each for each in flow.stored() if each.parent_id == command.id]
    assert event.id not in flow.published_ids()
    assert flow.running.post(command).json()["id"] == event.id
    assert event.id in flow.published_ids()


def test_the_readme_says_what_a_crash_leaves(flow: Witnesses):
    readme.check("a_ring", "crashes", crashes.table_of(flow, ARROWS, PLACED))


# The last one: it leaves in a topic what the other witnesses cannot read either.
def test_what_nobody_can_read_stops_nothing(flow: Witnesses):
    unknown = shop.order_of("odd")._replace(type="CancelOrder")
    assert flow.running.post(unknown).status_code == 422
    producer = Producer({"bootstrap.servers": flow.running.broker.removeprefix("kafka://")})
    producer.produce("orders.events", b"nonsense", "odd")
    assert producer.flush(10) == 0
    command = shop.order_of("odd")
    assert flow.running.post(command).status_code == 200
    flow.tells(command, PLACED)
    assert unknown.id not in {envelope.id for envelope in flow.stored()}
