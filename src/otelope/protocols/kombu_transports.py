"""What kombu's connections and messages say, whichever of its transports carries them."""

from __future__ import annotations

from typing import Any

from otelope.core.message import Message
from otelope.protocols.amqp import message_beside


# OpenTelemetry's names, where they are not kombu's.
_SYSTEMS = {"amqp": "rabbitmq", "sqs": "aws_sqs", "gcpubsub": "gcp_pubsub"}


def system_of(connection: Any) -> str | None:
    """What a connection speaks to; None without one, as that of a channel that is closed."""
    if not connection:
        return None
    driver: str = connection.transport.driver_type
    return _SYSTEMS.get(driver, driver)


def told_again(info: Any, system: str | None) -> bool | None:
    """Whether a message came before, by its delivery info; None where that does not tell."""
    # Over Redis it tells only of what did.
    again = info.get("redelivered", False if system == "redis" else None)
    return again if isinstance(again, bool) else None


def message_of(message: Any, decoded: Any = None) -> Message:
    """What kombu hands over, with its body as an object where that is known."""
    info, system = message.delivery_info, system_of(message.channel.connection.client)
    # JSON goes as it came; what other serializers wrote says nothing to us.
    as_object = isinstance(decoded, dict) and message.content_type != "application/json"
    return message_beside(
        info.get("exchange"),
        info.get("routing_key"),
        message.headers,
        message.properties,
        decoded if as_object else message.body,
        redelivered=told_again(info, system),
        receipt=receipt_of(message),
        system=system,
    )


def receipt_of(message: Any) -> tuple[int, Any]:
    """What a delivery is called when it is acknowledged; each channel counts from one."""
    return id(message.channel), message.delivery_tag


def channels_of(connection: Any) -> list[Any]:
    """The channels that are open, in a dict by number or in a list."""
    held = getattr(connection._connection, "channels", None) or []  # noqa: SLF001 - no other way
    return list(held.values() if isinstance(held, dict) else held)
