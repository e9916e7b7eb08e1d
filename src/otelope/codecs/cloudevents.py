"""CloudEvents 1.0: what both its modes say, and binary mode, whose attributes are headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from otelope.codecs.wire import ABSENT, FIELDS, Carrier, envelope_of, fit
from otelope.model.envelope import Envelope


# The attributes beside an envelope's fields, in the order of `cloudevent_of`.
ABOUT = ("specversion", "time", "causationid", "parentid")

# HTTP, Pub/Sub and NATS; Kafka; AMQP, and JMS where a colon cannot be; MQTT 5.
_PREFIXES = ("ce-", "ce_", "cloudevents:", "cloudevents_", "")
_LONGEST_VERSION = 16


def cloudevent_of(
    values: Iterable[Any], *, payload: bytes | None = None, text: bytes | None = None
) -> Envelope | None:
    """
    The envelope that the attributes of a CloudEvent make.

    Args:
        values: Those of `ABOUT`, then those of `otelope.codecs.wire.FIELDS`.
        payload, text: As in `Envelope`.
    """
    specversion, time, causation, parent, id_, type_, timestamp, source, parent_id, *rest = values
    if not fit(specversion, _LONGEST_VERSION):
        return None
    if time is not ABSENT:
        timestamp = time
    if causation is not ABSENT or parent is not ABSENT:
        parent_id = parent if causation is ABSENT else causation
    channel, kind = rest
    return envelope_of(
        id_,
        type_,
        timestamp,
        source,
        parent_id,
        channel,
        kind,
        payload=payload,
        text=text,
        cloudevent=True,
    )


def specversion_prefix(header: str) -> str | None:
    """What stands before ``specversion`` in the name of this header; None when nothing known."""
    name = header.lower()
    prefix = name.removesuffix("specversion")
    return header[: len(prefix)] if prefix != name and prefix in _PREFIXES else None


def binary(
    headers: Any, carrier: Carrier, prefix: str, parent: str, payload: bytes | None
) -> Envelope | None:
    """
    The envelope that CloudEvents headers make.

    Args:
        headers, carrier: The message's.
        prefix: What stands before the names of attributes.
        parent: The attribute that names the parent, beside CloudEvents' ``causationid``.
        payload: The message's body.
    """
    names: dict[str, str] = {}
    start = prefix.lower()
    for header in carrier.keys(headers):
        if header.lower().startswith(start):
            names.setdefault(header.lower()[len(start) :], header)

    def value(attribute: str) -> Any:
        header = names.get(attribute.lower())
        if header is None:
            return ABSENT
        text = carrier.get(headers, header)
        # CloudEvents' HTTP binding, which NATS's follows, encodes what headers cannot hold.
        return unquote(text) if text and start == "ce-" and "%" in text else text

    attributes = (parent if name == "parentId" else name for name in FIELDS)
    return cloudevent_of((*map(value, ABOUT), *map(value, attributes)), payload=payload)
