"""Flow C by its real processes: everything is stored, relayed and told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.running.servers import Otelope
from tests.e2e.flows import agreement, crashes, readme, shop
from tests.e2e.flows.crashes import Arrow
from tests.e2e.flows.harness import Witnesses, started


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow c")]

PLACED = """\
PlaceOrder by web-shop
  - handled by orders
  - stored in orders-db by orders
  OrderPlaced by orders
    - handled by shipping
    - sent to orders.events by relay
    - stored in the outbox of orders-db by orders
    ShipOrder by shipping
      - handled by shipping
      - stored in shipping-db by shipping
      OrderShipped by shipping
        - sent to shipping.events by relay
        - stored in the outbox of shipping-db by shipping"""
REJECTED = """\
PlaceOrder by web-shop
  - handled by orders
  - stored in orders-db by orders
  OrderRejected by orders
    - handled by shipping
    - sent to orders.events by relay
    - stored in the outbox of orders-db by orders"""
FAILED = """\
PlaceOrder by web-shop
  - handled by orders: UnknownArticle
  - stored in orders-db by orders"""
# The command comes two times.
HANDLED = "  - handled by orders\n"
TWICE = PLACED.replace(HANDLED, HANDLED + HANDLED)
STORIES = {"placed": PLACED, "rejected": REJECTED, "failed": FAILED}

# The relay has a thread for each database.
SHIPPED = "relay: events of shipping-db"
ARROWS = (
    Arrow("orders", "api: command", begins="PlaceOrder"),
    Arrow("orders", "service: command"),
    Arrow("orders", "db: store(command)"),
    Arrow("orders", "service: state"),
    Arrow("orders", "service: [event, new state]"),
    Arrow("orders", "db: store(event, new state, outbox)"),
    Arrow("orders", "client: 200"),
    Arrow("relay", "relay: events of orders-db"),
    Arrow("relay", "broker: publish(events of orders-db)", ahead_of=SHIPPED),
    Arrow("relay", "db: delete(outbox of orders-db)", ahead_of=SHIPPED),
    Arrow("shipping", "service: event", begins="OrderPlaced"),
    Arrow("shipping", "db: store(command)"),
    Arrow("shipping", "service: command", begins="ShipOrder"),
    Arrow("shipping", "service: state"),
    Arrow("shipping", "service: [event, new state]"),
    Arrow("shipping", "db: store(event, new state, outbox)"),
    Arrow("shipping", "broker: acknowledge(orders.events)"),
    Arrow("relay", SHIPPED),
    Arrow("relay", "broker: publish(events of shipping-db)"),
    Arrow("relay", "db: delete(outbox of shipping-db)"),
)


@pytest.fixture(scope="module")
def flow(otelope_up: Otelope, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnesses]:
    with started("c", tmp_path_factory.mktemp("c"), otelope_up) as witnesses:
        yield witnesses


def test_what_is_stored_published_and_told_agrees(flow: Witnesses):
    sales = shop.buy(flow.running)
    agreement.check(flow, sales, STORIES)
    published = flow.published()
    agreement.check_published(flow, published["orders.events"], "OrderPlaced", "OrderRejected")
    agreement.check_published(flow, published["shipping.events"], "OrderShipped")
    command = shop.latest_placed(sales)
    readme.check("c_outbox", "tree", readme.printed_tree(flow, command))
    readme.check("c_outbox", "spans", readme.printed_spans(flow, command))


def test_a_command_that_comes_again_gets_the_same_answer(flow: Witnesses):
    command = shop.order_of("again")
    answers = [flow.running.post(command) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    # What it leads to is in the outbox since the first time.
    flow.tells(command, TWICE)
    assert flow.states("orders")["again"] == {"orders": 1, "total": 20}
    assert flow.states("shipping")["again"] == {"shipped": 1}


def test_what_happens_at_the_same_time_counts_one_after_the_other(flow: Witnesses):
    agreement.check_hasty(flow, PLACED)


def test_the_readme_says_what_a_crash_leaves(flow: Witnesses):
    readme.check("c_outbox", "crashes", crashes.table_of(flow, ARROWS, PLACED))
