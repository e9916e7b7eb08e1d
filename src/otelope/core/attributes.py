"""What spans tell of messages and envelopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otelope.core.message import Message
from otelope.model import semconv
from otelope.model.envelope import Envelope, Kind


def attributes_of(
    message: Message,
    envelope: Envelope,
    system: str,
    operation: str,
    kind: Callable[[str], tuple[Kind | None, bool]],
) -> dict[str, Any]:
    """
    The attributes of a span about one envelope; unknown ones are left out.

    Args:
        message, envelope: What is sent or handled.
        system: The value of ``messaging.system``, unless the message says another.
        operation: Name and type of the operation: ``create``, ``send`` or ``process``.
        kind: The kind of a type, where the envelope itself does not say.
    """
    attributes = _about(envelope, kind)
    attributes[semconv.MESSAGING_SYSTEM] = message.system or system
    attributes[semconv.MESSAGING_OPERATION_NAME] = operation
    attributes[semconv.MESSAGING_OPERATION_TYPE] = operation
    if message.channel:
        attributes[semconv.MESSAGING_DESTINATION_NAME] = message.channel
    if message.transport_id:
        attributes[semconv.MESSAGING_MESSAGE_ID] = message.transport_id
    return attributes


def attributes_of_store(
    envelope: Envelope, name: str, kind: Callable[[str], tuple[Kind | None, bool]]
) -> dict[str, Any]:
    """The attributes of a span about one envelope in a transaction of a store, by its name."""
    attributes = _about(envelope, kind)
    attributes[semconv.STORE_NAME] = name
    return attributes


def attributes_of_batch(count: int, channel: str | None, system: str) -> dict[str, Any]:
    """The attributes of a span about several envelopes handed over at once."""
    attributes: dict[str, Any] = {
        semconv.MESSAGING_SYSTEM: system,
        semconv.MESSAGING_OPERATION_NAME: "process",
        semconv.MESSAGING_OPERATION_TYPE: "process",
        semconv.MESSAGING_BATCH_MESSAGE_COUNT: count,
    }
    if channel:
        attributes[semconv.MESSAGING_DESTINATION_NAME] = channel
    return attributes


def _about(envelope: Envelope, kind: Callable[[str], tuple[Kind | None, bool]]) -> dict[str, Any]:
    source = envelope.source
    attributes: dict[str, Any] = {
        semconv.ENVELOPE_ID: envelope.id,
        semconv.ENVELOPE_TYPE: envelope.type,
    }
    if envelope.parent_id is not None:
        attributes[semconv.ENVELOPE_PARENT_ID] = envelope.parent_id
    if source.name:
        attributes[semconv.ENVELOPE_SOURCE_NAME] = source.name
    if source.version:
        attributes[semconv.ENVELOPE_SOURCE_VERSION] = source.version
    if envelope.channel:
        attributes[semconv.ENVELOPE_CHANNEL] = envelope.channel
    own_kind = envelope.kind or kind(envelope.type)[0]
    if own_kind:
        attributes[semconv.ENVELOPE_KIND] = own_kind
    return attributes
