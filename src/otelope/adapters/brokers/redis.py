"""redis-py, sync and asyncio: lists used as queues, and published messages; in pipelines too."""

from __future__ import annotations

from typing import Any

from redis.asyncio.client import Redis

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import BARE, text
from otelope.core.message import Message
from otelope.core.sites import Iterate, Process, Receive, SendMany, Settle
from otelope.protocols.resp import asked, at_once, at_work, errors_of, heard, put, sent, taken


_CORE = "redis.commands.core"
_LISTS, _KEYS = f"{_CORE}:ListCommands", f"{_CORE}:BasicKeyCommands"
_PLACES = ("redis.client", "redis.asyncio.client")
_RUNS = [f"{x}:Pipeline._execute_{how}" for x in _PLACES for how in ("pipeline", "transaction")]
_NAMED = [f"{x}:PubSub._normalize_keys" for x in _PLACES]  # all that subscribe, with callbacks
_CLOSE = "aclose" if hasattr(Redis, "aclose") else "close"  # renamed in 5.0.1


def pushed(call: Call) -> list[Message]:
    return at_once(call.instance, call["name"], *call["values"])


def published(call: Call) -> list[Message]:
    return at_once(call.instance, call["channel"], call["message"])


def moved(answer: Any, c: Call) -> list[Message]:
    return at_work(c["first_list"] or c["src"], c["second_list"] or c["dst"], answer)


_POPS = "lpop rpop blpop brpop lmpop blmpop".split()
_TAKES = {f"{_LISTS}.{x}": lambda got, c: taken(got, c["name"]) for x in _POPS}
_TAKES |= {f"{_LISTS}.{x}": moved for x in ("rpoplpush", "brpoplpush")}
_TAKES |= {f"{_KEYS}.{x}": moved for x in ("lmove", "blmove")}
ADAPTER = Adapter(
    system="redis",
    carrier=BARE,
    sites=(
        *(SendMany(f"{_LISTS}.{each}", pushed) for each in ("lpush", "rpush")),
        SendMany(f"{_CORE}:PubSubCommands.publish", published),
        *(SendMany(x, sent(put), answered=errors_of(put)) for x in _RUNS),
        *(Receive(x, y, shared=True, source=asked) for x, y in _TAKES.items()),
        *(Receive(f"{x}:PubSub.get_message", lambda item, _: heard(item)) for x in _PLACES),
        *(Iterate(f"{x}:PubSub.listen", lambda item, _: heard(item)) for x in _PLACES),
        *(Process(each, lambda item: heard(item)[0], "data") for each in _NAMED),
        Settle(f"{_LISTS}.lrem", receipts=lambda c: [(text(c["name"]), c["value"])]),
        *(Settle(f"redis.client:{x}") for x in ("Redis.close", "PubSub.close", "PubSub.__exit__")),
        *(Settle(f"redis.asyncio.client:{x}.{_CLOSE}") for x in ("Redis", "PubSub")),
        *(Settle(f"redis.asyncio.client:{x}.__aexit__", early=True) for x in ("Redis", "PubSub")),
        Settle("redis.client:Redis.__del__", early=True, abandons=True),
    ),
    message=lambda item: next(iter(heard(item) or taken(item)), None),
)
