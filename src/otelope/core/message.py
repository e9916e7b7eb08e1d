"""What an adapter tells the core of one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec


class Message(msgspec.Struct, frozen=True):
    """
    A message as a client library carries it.

    Args:
        channel: Topic, queue, subject, route; None where the library does not say.
        body: Bytes or text. Anything else (an object, None) is no envelope.
        headers: In the library's own shape, which the adapter's carrier reads; never changed.
        properties: Native metadata that may hold envelope fields, by the names of
            `otelope.codecs.headers`: ``message_id``, ``correlation_id``, ``type``, ``timestamp``,
            ``app_id``. None where the library has none.
        attempt: 1 for the first delivery, where the broker counts.
        redelivered: Where the broker tells.
        transport_id: The broker's own id of this message, for ``messaging.message.id``.
        receipt: What the library calls this delivery of it when it is acknowledged or refused;
            compared with what `Settle` says. None where nothing is.
        system: The value of ``messaging.system``, where one client speaks to many systems and a
            message says to which; else the adapter's.
        arguments: What a job is called with, where it is that and has no body: the first that is
            an envelope is what the message carries.
        alias: What the library itself calls what it carries, as the id of a task whose argument
            is the envelope: what is sent meanwhile with a parent of this name has that envelope
            as its parent.
    """

    channel: str | None
    body: Any
    headers: Any = None
    properties: dict[str, Any] | None = None
    attempt: int | None = None
    redelivered: bool | None = None
    transport_id: str | None = None
    receipt: Any = None
    system: str | None = None
    arguments: Sequence[Any] | None = None
    alias: str | None = None
