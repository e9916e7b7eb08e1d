"""What a message of AMQP says, whatever its client."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from otelope.core.message import Message
from otelope.protocols.amqp import amqp_message


NATIVE = {
    "message_id": "7",
    "correlation_id": "6",
    "type": "OrderPlaced",
    "timestamp": 1.5,
    "app_id": "shop",
}


def properties(**headers):
    return SimpleNamespace(**NATIVE, headers=headers or None)


@pytest.mark.parametrize(
    ("exchange", "routing_key", "channel"),
    [
        ("", "orders", "orders"),
        ("shop", "", "shop"),
        ("shop", "orders", "shop:orders"),
        (None, None, ""),
    ],
)
def test_a_channel_is_the_exchange_and_the_routing_key(exchange, routing_key, channel):
    assert amqp_message(exchange, routing_key, None, b"{}") == Message(channel, b"{}")


def test_native_properties_stand_beside_the_headers():
    given = properties(region="eu")
    message = amqp_message("", "orders", given, b"{}", redelivered=False)
    assert message.headers is given.headers
    assert message.properties == NATIVE
    assert (message.attempt, message.redelivered) == (None, False)


@pytest.mark.parametrize(("before", "attempt"), [(0, 1), (2, 3), ("2", None), (None, None)])
def test_a_quorum_queue_counts_the_deliveries_before(before, attempt):
    message = amqp_message("", "orders", properties(**{"x-delivery-count": before}), b"{}")
    assert message.attempt == attempt
