"""What Celery's protocol of tasks says of one that is handled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from otelope.core.message import Message
from otelope.protocols.amqp import message_beside
from otelope.protocols.kombu_transports import told_again


def task(request: Mapping[str, Any], args: Any, kwargs: Any, system: str | None) -> Message:
    """
    A task by the queue that it came out of.

    Args:
        request: What its headers say and how it was delivered, as Celery puts them together.
        args, kwargs: What the function is called with; one of them may be an envelope.
        system: What carried it.
    """
    told = request.get("delivery_info") or {}
    message = message_beside(
        told.get("exchange"),
        told.get("routing_key"),
        request,
        request.get("properties") or {},
        (args, kwargs, {}),
        redelivered=told_again(told, system),
        system=system,
        alias=request["id"],
    )
    attempt = (message.attempt or 1) + (request.get("retries") or 0)
    return replace(message, channel=message.channel or None, attempt=attempt)
