"""redis-py, sync and asyncio: streams, read alone or by groups; added to in pipelines too."""

from __future__ import annotations

from typing import Any

from redis.asyncio.client import Redis

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import FIELDS, text
from otelope.core.message import Message
from otelope.core.sites import Receive, Send, SendMany, Settle
from otelope.protocols.resp import added, asked, entries, entry, errors_of, queues, sent, stamped


_STREAMS = "redis.commands.core:StreamCommands"
_PLACES = ("redis.client", "redis.asyncio.client")
_RUNS = [f"{x}:Pipeline._execute_{how}" for x in _PLACES for how in ("pipeline", "transaction")]
_CLOSE = "aclose" if hasattr(Redis, "aclose") else "close"  # renamed in 5.0.1


def written(call: Call) -> Message | None:
    fields = call["fields"]
    told = isinstance(fields, dict) and not queues(call.instance)
    return entry(call["name"], fields) if told else None


def read(answer: Any, asked: Call) -> Any:
    again = any(text(after) != ">" for after in asked["streams"].values())  # ">" asks for new ones
    return entries(answer, None, text(asked["groupname"]), redelivered=again)


def claimed(answer: Any, asked: Call) -> Any:
    return entries(answer, text(asked["name"]), text(asked["groupname"]), redelivered=True)


def acknowledged(call: Call) -> list[Any]:
    return [(text(call["name"]), text(call["groupname"]), text(each)) for each in call["ids"]]


_READS = {"xread": lambda answer, _: entries(answer), "xreadgroup": read}
_READS |= {"xclaim": claimed, "xautoclaim": claimed}
ADAPTER = Adapter(
    system="redis",
    carrier=FIELDS,
    sites=(
        Send(f"{_STREAMS}.xadd", written, lambda call, fields: call.__setitem__("fields", fields)),
        *(SendMany(each, sent(added), stamped, errors_of(added)) for each in _RUNS),
        *(Receive(f"{_STREAMS}.{x}", y, shared=True, source=asked) for x, y in _READS.items()),
        Settle(f"{_STREAMS}.xack", receipts=acknowledged),
        Settle("redis.client:Redis.close"),
        Settle("redis.client:Redis.__del__", early=True, abandons=True),
        Settle(f"redis.asyncio.client:Redis.{_CLOSE}"),
        Settle("redis.asyncio.client:Redis.__aexit__", early=True),
    ),
    message=lambda item: next(entries([item]), None) if isinstance(item, tuple) else None,
)
