"""What Redis's commands and answers say of messages, whatever the client that carries them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec.structs import replace

from otelope.core.call import Call
from otelope.core.carriers import FIELDS, text
from otelope.core.message import Message
from otelope.core.operation import type_of


# A command's words, and what the client keeps with them.
Command = tuple[Sequence[Any], Any]
Numbered = Iterator[tuple[int, Message]]

_PUTS = ("LPUSH", "RPUSH", "PUBLISH")
# What may stand before the id of a new entry, and how many words it takes.
_OPTIONS = {
    "NOMKSTREAM": 1,
    "KEEPREF": 1,
    "DELREF": 1,
    "ACKED": 1,
    "IDMPAUTO": 2,
    "IDMP": 3,
    "MAXLEN": 2,
    "MINID": 2,
    "LIMIT": 2,
}
_ABOUT = ("~", "=", b"~", b"=")  # may stand before the number of the last three


def entry(stream: Any, fields: Mapping[Any, Any], **known: Any) -> Message:
    """An entry of a stream, which may be unknown: all of its fields, one of them the body."""
    return Message(None if stream is None else text(stream), FIELDS.body(fields), fields, **known)


def bodies(channel: Any, *values: Any) -> list[Message]:
    """What was put into a list, or published: bodies without headers."""
    return [Message(text(channel), value) for value in values]


def queues(client: Any) -> bool:
    """Whether commands wait in this client until it executes them, as in redis-py's pipelines."""
    return bool(
        getattr(client, "explicit_transaction", False) or not getattr(client, "watching", True)
    )


def at_once(client: Any, channel: Any, *values: Any) -> list[Message]:
    """What a command puts into a list, or publishes; nothing where it waits in the client."""
    return [] if queues(client) else bodies(channel, *values)


def heard(item: Any) -> list[Message]:
    """What was published, of all that a subscriber is told."""
    match item:
        case {"type": "message" | "pmessage" | "smessage", "channel": channel, "data": data}:
            return bodies(channel, data)
    return []


def keys(given: Any) -> list[str]:
    """The keys that a command asks, given as one, as several or with something for each."""
    one = isinstance(given, str | bytes | memoryview)
    return [text(key) for key in ((given,) if one else given)]


def asked(call: Call) -> list[str]:
    """The keys that a command asks, by their names in redis-py and the clients made of it."""
    names = ("streams", "keys", "args", "name", "first_list", "src")
    return keys(next(filter(None, map(call.__getitem__, names)), ()))


def taken(answer: Any, key: Any = None) -> list[Message]:
    """What was taken out of a list: one value or several, with the key unless that is known."""
    if key is not None:
        return bodies(key, *(answer if isinstance(answer, list) else [answer]))
    match answer:
        case [bytes() | str() as list_, list() as values]:
            return bodies(list_, *values)
        case [bytes() | str() as list_, bytes() | str() as value]:
            return bodies(list_, value)
    return []


def at_work(source: Any, target: Any, value: Any) -> list[Message]:
    """What was moved into a list of what is at work: taken out of that, it has been handled."""
    return [replace(each, receipt=(text(target), value)) for each in bodies(source, value)]


def entries(
    answer: Any,
    stream: str | None = None,
    group: str | None = None,
    *,
    redelivered: bool | None = None,
) -> Iterator[Message]:
    """
    The entries in an answer about streams, with (stream, group, id) as the receipt.

    Args:
        answer: Of XREAD, XREADGROUP, XCLAIM or XAUTOCLAIM, in RESP2 or RESP3; others have none.
        stream: The one that was asked, where the answer does not name it.
        group: Whose consumer asked; None without one.
        redelivered: Whether the entries were delivered before, where that is known.
    """
    items: Any = answer if isinstance(answer, list) else ()
    for item in answer.items() if isinstance(answer, dict) else items:
        match item:
            case (bytes() | str() as id_, dict() as fields, *_):
                receipt = (stream, group, text(id_)) if group else None
                yield entry(stream, fields, redelivered=redelivered, receipt=receipt)
            case (bytes() | str() as name, list() as found) if stream is None:
                yield from entries(found, text(name), group, redelivered=redelivered)
            case list():
                yield from entries(item, stream, group, redelivered=redelivered)


def added(commands: Iterable[Command]) -> Numbered:
    """The new entries of streams among commands, by their place among those."""
    for place, (words, _) in enumerate(commands):
        if words[0] == "XADD":
            fields = words[_first_field(words) :]
            yield place, entry(words[1], dict(zip(fields[::2], fields[1::2], strict=True)))


def put(commands: Iterable[Command]) -> Numbered:
    """What is put into lists, or published, by the place of its command."""
    for place, (words, _) in enumerate(commands):
        if words[0] in _PUTS:
            yield from ((place, each) for each in bodies(*words[1:]))


def sent(found: Callable[[Iterable[Command]], Numbered]) -> Callable[[Call], list[Message]]:
    """What the commands that a pipeline executes send; `added` or `put` finds it."""
    return lambda call: [message for _, message in found(call["commands"])]


def stamped(call: Call, fields: Sequence[Any]) -> None:
    """Let the commands that a pipeline executes add these fields, for each new entry its own."""
    commands = list(call["commands"])
    for (place, _), new in zip(added(call["commands"]), fields, strict=True):
        if new is not None:
            words, options = commands[place]
            commands[place] = (_with_fields(words, new), options)
    call["commands"] = commands


def errors_of(
    found: Callable[[Iterable[Command]], Numbered],
) -> Callable[[Any, Call], list[str | None]]:
    """For each message the error among the answers to a pipeline's commands."""
    return lambda answers, call: [
        type_of(answers[place]) if isinstance(answers[place], Exception) else None
        for place, _ in found(call["commands"])
    ]


def _with_fields(words: Sequence[Any], fields: Mapping[Any, Any]) -> tuple[Any, ...]:
    return (*words[: _first_field(words)], *chain.from_iterable(fields.items()))


def _first_field(words: Sequence[Any]) -> int:
    place = 2
    while width := _OPTIONS.get(text(words[place]).upper()):
        place += width + (words[place + 1] in _ABOUT)
    return place + 1
