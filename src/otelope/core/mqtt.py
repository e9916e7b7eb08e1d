"""What messages of MQTT say, in paho-mqtt and the clients that stand on it."""

from __future__ import annotations

import copy

from collections.abc import Callable, Iterable
from typing import Any

from otelope.core.adapter import Adapter, Site
from otelope.core.call import Call
from otelope.core.callbacks import root_of
from otelope.core.carriers import BARE, TEXT_PAIRS
from otelope.core.message import Message


# They hand over by themselves what paho hands to them.
_STAND_ON_PAHO = ("aiomqtt",)
_HEADERS = "UserProperty"
_PUBLISH = 3  # the type of packet
_VERSION_5 = 5


def mqtt(
    sites: Callable[..., Iterable[Site]],
    *others: Site,
    message: Callable[..., Message | None],
) -> Adapter:
    """
    The adapter of a client whose connections speak MQTT 5, or 3.1.1, which has no headers.

    Args:
        sites: Where messages pass in connections of version 5 (`five`), or else in the others.
        others: Sites that are about both.
        message: As in `Adapter`; None for a message of the other version.
    """
    without = Adapter(
        "mqtt", BARE, (*sites(five=False),), message=lambda item: message(item, five=False)
    )
    return Adapter(
        "mqtt",
        TEXT_PAIRS,
        (*sites(five=True), *others),
        message=lambda item: message(item, five=True),
        also=(without,),
    )


def sent(call: Call, client: Any, *, five: bool) -> Message | None:
    """What a publish sends; None where paho's client speaks the other version."""
    if (client._protocol == _VERSION_5) is not five:  # noqa: SLF001 - public since paho 2 only
        return None
    # The topic is empty where an alias stands for it; 3.1.1 drops what properties there are.
    headers = getattr(call["properties"], _HEADERS, None) if five else None
    return Message(call["topic"] or None, call["payload"], headers)


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


def passes_on(client: Any) -> bool:
    """Whether what paho's client calls with messages is a client that stands on it."""
    callback = client.on_message
    return callback is not None and root_of(callback) in _STAND_ON_PAHO
