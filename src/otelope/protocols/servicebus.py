"""What the client of Azure Service Bus and that for asyncio do, and say of messages."""

from __future__ import annotations

import copy
import re

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

from otelope.core.adapter import Site
from otelope.core.call import Call
from otelope.core.carriers import Named
from otelope.core.message import Message
from otelope.core.sites import Operations, Receive, Send, SendMany, Settle
from otelope.core.sites.batch import SendBatch


_SUBSCRIPTION = re.compile(r"/subscriptions/[^/]+", re.IGNORECASE)
# By the library's verb: whether it says that the message was not handled.
_SETTLEMENTS = {"complete": False, "abandon": True, "defer": True, "dead_letter": True}


class Properties(Named):
    """
    Application properties, by names that are bytes where we add them.

    So are those that the library's own tracing adds where they are not there, and reads.
    """

    def written(self, headers: Any, fields: Mapping[str, str]) -> Any:
        written = super().written(headers, fields)
        return {name.encode() if name in fields else name: v for name, v in written.items()}


def sending(sender: str) -> tuple[Site, ...]:
    """The sites of a sender, ``module:Class``."""
    return (
        _sending(f"{sender}.send_messages", "message", _sent, _all_sent),
        _sending(f"{sender}.schedule_messages", "messages", _scheduled, _all_scheduled),
    )


def _sending(
    at: str,
    name: str,
    one: Callable[[Call], Message],
    many: Callable[[Call], list[Message | None]],
) -> Site:
    kinds: dict[str, Site] = {
        "one": Send(at, one, stamp(name)),
        "many": SendMany(at, many, _stamp_each(name)),
        "batch": SendBatch(at, lambda call: (call[name], call.instance.entity_name)),
    }
    return Operations(at, lambda call: _kind(call[name]), kinds)


def receiving(receiver: str, step: str) -> tuple[Site, ...]:
    """The sites of a receiver, ``module:Class``, whose iterator goes on by this method."""
    return (
        *(
            Receive(f"{receiver}.{how}", _received, shared=True)
            for how in ("receive_messages", "receive_deferred_messages", step)
        ),
        *(
            Settle(f"{receiver}.{how}_message", no, receipts=lambda c: [c["message"].lock_token])
            for how, no in _SETTLEMENTS.items()
        ),
        Settle(f"{receiver}.close"),
    )


def gathered(call: Call) -> Message | None:
    """What is put into a batch."""
    message = call["message"]
    return _outgoing(message, None) if _kind(message) == "one" else None


def received(message: Any, entity: str | None) -> Message:
    """
    What a message says that was received.

    Args:
        message: The library's.
        entity: The path of the queue or subscription; None where that is not known.
    """
    count = message.delivery_count
    return Message(
        _SUBSCRIPTION.sub("", entity) if entity else None,
        _body(message),
        message.application_properties,
        {"message_id": message.message_id},
        attempt=None if count is None else count + 1,
        redelivered=None if count is None else count > 0,
        receipt=message.lock_token,
    )


def stamp(name: str) -> Callable[[Call, Any], None]:
    """What puts application properties into a copy of the message that this argument is."""

    def put(call: Call, headers: Any) -> None:
        call[name] = _stamped(call[name], headers)

    return put


def _stamp_each(name: str) -> Callable[[Call, Sequence[Any]], None]:
    def put(call: Call, headers: Sequence[Any]) -> None:
        call[name] = [
            message if given is None else _stamped(message, given)
            for message, given in zip(call[name], headers, strict=True)
        ]

    return put


def _kind(given: Any) -> str:
    """Whether it is one message in any of the library's forms, many, or a batch; else empty."""
    if hasattr(given, "add_message"):
        return "batch"
    if isinstance(given, Mapping) or hasattr(given, "application_properties"):
        return "one"
    return "many" if isinstance(given, Iterable) else ""


def _sent(call: Call) -> Message:
    return _outgoing(call["message"], call.instance.entity_name)


def _all_sent(call: Call) -> list[Message | None]:
    messages, call["message"] = _read(call["message"])
    return _each(messages, call.instance.entity_name)


def _scheduled(call: Call) -> Message:
    return _outgoing(call["messages"], call.instance.entity_name)


def _all_scheduled(call: Call) -> list[Message | None]:
    messages, call["messages"] = _read(call["messages"])
    return _each(messages, call.instance.entity_name)


def _each(messages: Iterable[Any], entity: str) -> list[Message | None]:
    return [_outgoing(each, entity) if _kind(each) == "one" else None for each in messages]


def _read(given: Iterable[Any]) -> tuple[Sequence[Any], Iterable[Any]]:
    """What is sent; and what the library reads, which meets the same end where that is not it."""
    if isinstance(given, list | tuple):
        return given, given
    found: list[Any] = []
    try:
        for each in given:  # what is generated can be read once
            found.append(each)  # noqa: PERF402 - to have what came before an error
    except Exception as error:  # noqa: BLE001 - the application's, for the library to meet
        return [], _failing(found, error)
    # Of an empty list the library sends nothing, of an empty generator a batch.
    return found, found or iter(found)


def _failing(found: list[Any], error: Exception) -> Generator[Any]:
    yield from found
    raise error


def _outgoing(message: Any, entity: str | None) -> Message:
    if isinstance(message, Mapping):
        native = {"message_id": message.get("message_id")}
        return Message(entity, message.get("body"), message.get("application_properties"), native)
    # What AMQP itself knows has it elsewhere.
    native = {"message_id": getattr(message, "message_id", None)}
    return Message(entity, _body(message), message.application_properties, native)


def _received(got: Any, call: Call) -> list[Message]:
    messages = got if isinstance(got, list) else [got]
    return [received(each, call.instance.entity_path) for each in messages]


def _stamped(message: Any, headers: Any) -> Any:
    if isinstance(message, Mapping):
        return {**message, "application_properties": headers}
    message = copy.copy(message)
    inner = getattr(message, "_raw_amqp_message", None)
    if inner is None:
        message.application_properties = headers
    else:
        message._raw_amqp_message = _stamped(inner, headers)  # noqa: SLF001 - read-only in public
    return message


def _body(message: Any) -> Any:
    """Its data in one piece, or its value."""
    body = message.body
    return b"".join(body) if message.body_type.name == "DATA" else body


PROPERTIES = Properties()
