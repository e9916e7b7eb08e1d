"""What Pulsar's client and that for asyncio say of messages."""

from __future__ import annotations

import re

from typing import Any

from otelope.core.call import Call
from otelope.core.message import Message


_PREFIX = re.compile(r"^(non-)?persistent://(public/default/)?")
_PARTITION = re.compile(r"-partition-\d+$")


def sent(call: Call) -> Message:
    """What a producer's call sends; a schema makes bytes of what is an object."""
    content, producer = call["content"], call.instance
    if not isinstance(content, str | bytes | None):
        content = producer._schema.encode(content)  # noqa: SLF001 - not public in any version
    # In asyncio the producer says its topic since 3.9 only.
    return Message(_named(producer._producer.topic()), content, call["properties"])  # noqa: SLF001


def failed(result: Any, *_: Any) -> str | None:
    """The name of a result that is no success."""
    return None if result.name == "Ok" else str(result.name)


def received(message: Any, consumer: Any = None) -> Message:
    """
    What a message says.

    Args:
        message: The client's.
        consumer: Who has to acknowledge it; None where nobody has, as of a reader.
    """
    # 0 unless the subscription is shared: of others the broker keeps no count.
    count = message.redelivery_count()
    return Message(
        _named(message.topic_name()),
        message.data(),
        message.properties(),
        attempt=count + 1,
        redelivered=count > 0,
        receipt=receipt(consumer, message) if consumer is not None else None,
    )


def receipt(consumer: Any, message: Any) -> Any:
    """What acknowledges a message, which may be told by its id alone."""
    told = message.message_id() if hasattr(message, "message_id") else message
    return consumer.subscription_name(), str(told)


def _named(topic: str) -> str:
    # Of a partitioned topic only who sends says the name itself.
    return _PARTITION.sub("", _PREFIX.sub("", topic))
