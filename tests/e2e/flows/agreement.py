"""All witnesses of a flow say the same of the orders that were placed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import httpx

from examples.flows import expected
from examples.flows.domain import orders, shipping
from examples.flows.expected import nodes_of, shape_of
from examples.flows.messages import read
from otelope import Envelope
from tests.e2e.flows.harness import Published, Witnesses, types
from tests.e2e.flows.shop import ACCOUNT, BASKET, CUSTOMERS, PARCELS, Sale, customers, order_of
from tests.e2e.flows.stories import repeated


SHAPES = {"placed": expected.PLACED, "rejected": expected.REJECTED, "failed": expected.FAILED}
# What is known of an `OrderPlaced`, and what of it leaves.
INSIDE = {field.name for field in fields(orders.OrderPlaced)}
OUTSIDE = {field.name for field in fields(shipping.OrderPlaced)}


def check(flow: Witnesses, sales: Sequence[Sale], stories: Mapping[str, str]) -> None:
    """
    Commands, trees, databases and states agree; what was published is for the flow's own test.

    Args:
        flow: After `shop.buy`, and nothing before it.
        sales: What that returned.
        stories: What otelope must tell, by outcome.
    """
    assert len(sales) == CUSTOMERS * len(BASKET) >= 50
    told: Counter[str] = Counter()
    for sale in sales:
        assert sale.status == getattr(flow.running.flow, sale.outcome), sale
        tree = flow.tells(sale.command, stories[sale.outcome])
        assert shape_of(tree["root"]) == SHAPES[sale.outcome]
        told.update(node["id"] for node in nodes_of(tree["root"]))
    stored = flow.stored()
    assert Counter(envelope.id for envelope in stored) == told
    outcomes = Counter(sale.outcome for sale in sales)
    assert types(stored) == {
        "PlaceOrder": len(sales),
        "OrderPlaced": outcomes["placed"],
        "OrderRejected": outcomes["rejected"],
        "ShipOrder": outcomes["placed"],
        "OrderShipped": outcomes["placed"],
    }
    for envelope in stored:
        if envelope.type == "OrderPlaced":
            assert envelope.payload.keys() == _told(flow, envelope).payload.keys() == INSIDE
    assert flow.states("orders") == dict.fromkeys(customers(), ACCOUNT)
    assert flow.states("shipping") == dict.fromkeys(customers(), PARCELS)


def check_published(flow: Witnesses, messages: Iterable[Published], *wanted: str) -> None:
    """
    A topic has just the stored envelopes of these types, each once and in order per key.

    What stays inside is not there; in flow B everything leaves.
    """
    contracts = flow.running.flow.package != "b_broker"
    by_key: dict[str, list[dict]] = {}
    for message in messages:
        by_key.setdefault(message.key, []).append(message.envelope.to_dict())
    stored: dict[str, list[dict]] = {}
    for envelope in flow.stored():
        if envelope.type in wanted:
            outside = OUTSIDE if envelope.type == "OrderPlaced" and contracts else None
            leaving = envelope._replace(outside=outside).to_dict()
            stored.setdefault(envelope.payload["customer"], []).append(leaving)
    assert by_key == stored


def check_hasty(flow: Witnesses, story: str) -> None:
    """What a customer orders at the same time counts one after the other."""
    commands = [order_of("hasty") for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(flow.running.post, commands))
    assert [answer and answer.status_code for answer in answers] == [200] * 6
    assert flow.states("orders")["hasty"] == {"orders": 6, "total": 6 * 20}
    for command in commands:
        # What was decided in vain, because another order was faster, is not told.
        flow.tells(command, story)
    assert flow.states("shipping")["hasty"] == {"shipped": 6}


def check_nervous(flow: Witnesses, story: str) -> None:
    """A command that comes several times at the same time counts once."""
    command = order_of("nervous")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(flow.running.post, [command] * 6))
    assert [answer and answer.status_code for answer in answers] == [200] * 6
    assert len({answer.json()["id"] for answer in answers if answer}) == 1
    flow.tells(command, repeated(story, 6))
    assert flow.states("orders")["nervous"] == {"orders": 1, "total": 20}
    assert flow.states("shipping")["nervous"] == {"shipped": 1}


def _told(flow: Witnesses, envelope: Envelope) -> Envelope:
    """The envelope as otelope's store has it."""
    url = f"{flow.running.otelope.questions}/api/envelope/{envelope.id}"
    return read(httpx.get(url, trust_env=False).raise_for_status().json()["body"])
