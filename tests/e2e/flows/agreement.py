"""All witnesses of a flow say the same of the orders that were placed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from examples.flows import expected
from examples.flows.expected import nodes_of, shape_of
from tests.e2e.flows.harness import Published, Witnesses, types
from tests.e2e.flows.shop import ACCOUNT, BASKET, CUSTOMERS, PARCELS, Sale, customers


SHAPES = {"placed": expected.PLACED, "rejected": expected.REJECTED, "failed": expected.FAILED}


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
    assert flow.states("orders") == dict.fromkeys(customers(), ACCOUNT)
    assert flow.states("shipping") == dict.fromkeys(customers(), PARCELS)


def check_published(flow: Witnesses, messages: Iterable[Published], *wanted: str) -> None:
    """A topic has just the stored envelopes of these types, each once and in order per key."""
    by_key: dict[str, list[dict]] = {}
    for message in messages:
        by_key.setdefault(message.key, []).append(message.envelope.to_dict())
    stored: dict[str, list[dict]] = {}
    for envelope in flow.stored():
        if envelope.type in wanted:
            stored.setdefault(envelope.payload["customer"], []).append(envelope.to_dict())
    assert by_key == stored
