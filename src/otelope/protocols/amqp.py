"""What a message of AMQP 0-9-1 says, whatever the client that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otelope.core.message import Message


_NATIVE = ("message_id", "correlation_id", "type", "timestamp", "app_id")
# RabbitMQ's quorum queues count how often they have delivered a message before.
_DELIVERED_BEFORE = "x-delivery-count"


def amqp_message(
    exchange: str | None,
    routing_key: str | None,
    properties: Any,
    body: Any,
    *,
    redelivered: bool | None = None,
    receipt: Any = None,
) -> Message:
    """
    A message by where it was published to.

    Args:
        exchange, routing_key: Either is empty where it does not matter.
        properties: Has the protocol's names as attributes; None for a message without any.
        body: As it is on the wire.
        redelivered, receipt: As in `Message`.
    """
    if properties is None:
        channel = _channel(exchange, routing_key)
        return Message(channel, body, redelivered=redelivered, receipt=receipt)
    said = {name: getattr(properties, name) for name in _NATIVE}
    told = {"redelivered": redelivered, "receipt": receipt}
    return message_beside(exchange, routing_key, properties.headers, said, body, **told)


def message_beside(
    exchange: str | None,
    routing_key: str | None,
    headers: Mapping[str, Any] | None,
    properties: Mapping[str, Any],
    body: Any,
    **known: Any,
) -> Message:
    """
    A message whose headers stand beside its properties, which are a mapping.

    Else as `amqp_message`; what else is known of it is as in `Message`.
    """
    before = headers.get(_DELIVERED_BEFORE) if headers else None
    return Message(
        _channel(exchange, routing_key),
        body,
        headers,
        {name: properties.get(name) for name in _NATIVE},
        before + 1 if isinstance(before, int) else None,
        **known,
    )


def _channel(exchange: str | None, routing_key: str | None) -> str:
    return ":".join(part for part in (exchange, routing_key) if part)
