"""What messages of MQTT say, in paho-mqtt and the clients that stand on it."""

from __future__ import annotations

import copy

from collections.abc import Callable, Collection, Iterable
from typing import Any

from otelope.core.adapter import Adapter, Site
from otelope.core.callbacks import root_of
from otelope.core.carriers import BARE, TEXT_PAIRS, Carrier
from otelope.core.message import Message


_HEADERS = "UserProperty"
_PUBLISH = 3  # the type of packet
_VERSION_5 = 5


def mqtt(sites: Callable[..., Iterable[Site]], *others: Site, delivered: type) -> Adapter:
    """
    The adapter of a client whose connections speak MQTT 5, or 3.1.1, which has no headers.

    Args:
        sites: Where messages pass in connections of version 5 (`five`), or else in the others.
        others: Sites that are about both.
        delivered: What the library hands to the application.
    """

    def adapter(carrier: Carrier, *others: Site, five: bool, also: tuple[Adapter, ...]) -> Adapter:
        def message(item: Any) -> Message | None:
            return received(item, five=five) if isinstance(item, delivered) else None

        return Adapter("mqtt", carrier, (*sites(five=five), *others), message=message, also=also)

    return adapter(TEXT_PAIRS, *others, five=True, also=(adapter(BARE, five=False, also=()),))


def sent(client: Any, topic: str, body: Any, properties: Any, *, five: bool) -> Message | None:
    """What a publish sends; None where paho's client speaks the other version."""
    if (client._protocol == _VERSION_5) is not five:  # noqa: SLF001 - public since paho 2 only
        return None
    # The topic is empty where an alias stands for it; 3.1.1 drops what properties there are.
    return Message(topic or None, body, getattr(properties, _HEADERS, None) if five else None)


def received(message: Any, *, five: bool, receipt: Any = None) -> Message | None:
    """What is handed over; None for a message of the other version."""
    # Over 3.1.1 it has none, or before paho 2 no such attribute.
    properties = getattr(message, "properties", None)
    if (properties is not None) is not five:
        return None
    again = getattr(message, "dup", None) if message.qos else None
    return Message(
        str(message.topic),
        message.payload,
        getattr(properties, _HEADERS, None),
        redelivered=None if again is None else bool(again),
        receipt=receipt,
    )


def with_headers(properties: Any, headers: Any, kind: Callable[[int], Any]) -> Any:
    """A copy of paho's properties, or new ones of its kind, with these user properties."""
    copied = copy.copy(properties) or kind(_PUBLISH)
    # To set the attribute would add to those that are there.
    vars(copied)[_HEADERS] = headers
    return copied


def calls_application(client: Any, topic: str, above: Collection[str]) -> bool:
    """
    Whether paho's client has a callback of the application for what comes for a topic.

    Args:
        above: Packages whose clients stand on paho's, and hand over by themselves.
    """
    callbacks = client._on_message_filtered.iter_match(topic)  # noqa: SLF001 - told nowhere else
    callback = next(callbacks, client.on_message)
    return callback is not None and root_of(callback) not in above
