"""Flow D by its real processes: everything is stored, posted and told."""

from __future__ import annotations

import threading

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from examples.flows.messages import read
from examples.running.servers import Otelope
from tests.e2e.flows import agreement, crashes, readme, shop
from tests.e2e.flows.crashes import Arrow
from tests.e2e.flows.harness import Witnesses, started
from tests.e2e.flows.stories import repeated


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flow d")]

PLACED = """\
PlaceOrder by web-shop
  - handled by orders
  - stored in orders-db by orders
  OrderPlaced by orders
    - handled by shipping
    - sent to /events by orders
    - stored in orders-db by orders
    ShipOrder by shipping
      - handled by shipping
      - stored in shipping-db by shipping
      OrderShipped by shipping
        - stored in shipping-db by shipping"""
REJECTED = """\
PlaceOrder by web-shop
  - handled by orders
  - stored in orders-db by orders
  OrderRejected by orders
    - stored in orders-db by orders"""
FAILED = """\
PlaceOrder by web-shop
  - handled by orders: UnknownArticle
  - stored in orders-db by orders"""
STORIES = {"placed": PLACED, "rejected": REJECTED, "failed": FAILED}
# Nobody listened at first.
REFUSED = """\
PlaceOrder by web-shop
  - handled by orders
  - handled by orders: 503
  - stored in orders-db by orders
  OrderPlaced by orders
    - handled by shipping
    - sent to /events by orders
    - sent to /events by orders: ConnectError
    - stored in orders-db by orders
    ShipOrder by shipping
      - handled by shipping
      - stored in shipping-db by shipping
      OrderShipped by shipping
        - stored in shipping-db by shipping"""

ARROWS = (
    Arrow("orders", "api: command", begins="PlaceOrder"),
    Arrow("orders", "service: command"),
    Arrow("orders", "db: store(command)"),
    Arrow("orders", "service: state"),
    Arrow("orders", "service: [event, new state]"),
    Arrow("orders", "db: store(event, state)"),
    Arrow("orders", "shipping: event"),
    Arrow("orders", "client: 200"),
    Arrow("shipping", "api: event", begins="OrderPlaced"),
    Arrow("shipping", "db: store(command)"),
    Arrow("shipping", "service: command", begins="ShipOrder"),
    Arrow("shipping", "service: state"),
    Arrow("shipping", "service: [event, new state]"),
    Arrow("shipping", "db: store(event, state)"),
    Arrow("shipping", "client: 200"),
)


@pytest.fixture(scope="module")
def flow(otelope_up: Otelope, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witnesses]:
    with started("d", tmp_path_factory.mktemp("d"), otelope_up) as witnesses:
        yield witnesses


@contextmanager
def listening(port: int) -> Iterator[list[bytes]]:
    """What is posted to a port, each time answered with 503."""
    bodies: list[bytes] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_error(503)

    with ThreadingHTTPServer(("127.0.0.1", port), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield bodies
        server.shutdown()
        thread.join()


def test_what_is_stored_and_told_agrees(flow: Witnesses):
    sales = shop.buy(flow.running)
    agreement.check(flow, sales, STORIES)
    assert not any(flow.published().values())
    command = shop.latest_placed(sales)
    readme.check("d_service", "tree", readme.printed_tree(flow, command))
    readme.check("d_service", "spans", readme.printed_spans(flow, command))


def test_a_command_that_comes_again_gets_the_same_answer(flow: Witnesses):
    command = shop.order_of("again")
    answers = [flow.running.post(command) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    flow.tells(command, repeated(PLACED, 2))
    assert flow.states("orders")["again"] == {"orders": 1, "total": 20}
    assert flow.states("shipping")["again"] == {"shipped": 1}


def test_what_happens_at_the_same_time_counts_one_after_the_other(flow: Witnesses):
    agreement.check_hasty(flow, PLACED)


def test_a_command_that_comes_twice_at_the_same_time_counts_once(flow: Witnesses):
    agreement.check_nervous(flow, PLACED)


def test_shipping_gets_what_it_needs_and_no_more(flow: Witnesses):
    flow.running.stop("shipping")
    command = shop.order_of("modest")
    try:
        with listening(flow.running._ports["shipping"]) as bodies:
            answer = flow.running.post(command)
    finally:
        flow.running.start("shipping")
    assert answer is not None
    assert answer.status_code == 503
    (body,) = bodies
    assert read(body).payload == {"order": command.payload["order"], "customer": "modest"}
    assert flow.running.post(command).status_code == 200


def test_while_shipping_is_down_orders_stand_and_the_client_is_told(flow: Witnesses):
    flow.running.stop("shipping")
    command = shop.order_of("patient")
    try:
        first = flow.running.post(command)
    finally:
        flow.running.start("shipping")
    assert first.status_code == 503
    assert flow.states("orders")["patient"] == {"orders": 1, "total": 20}
    assert "patient" not in flow.states("shipping")
    assert flow.running.post(command).status_code == 200
    flow.tells(command, REFUSED)
    assert flow.states("shipping")["patient"] == {"shipped": 1}


def test_the_readme_says_what_a_crash_leaves(flow: Witnesses):
    readme.check("d_service", "crashes", crashes.table_of(flow, ARROWS, PLACED))
