"""huey: tasks over Redis and its other storages; retries, schedules and pipelines."""

from __future__ import annotations

import sys

from typing import Any

from huey import RetryTask, signals
from huey.api import Task

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import BARE
from otelope.core.message import Message
from otelope.core.sites import Fail, Handle, Send
from otelope.core.sites.take import Take, is_taken
from otelope.protocols.jobs import job


# Emitted while the exception is handled; not every version has the last two.
_NAMES = ("ERROR", "LOCKED", "CANCELED", "INTERRUPTED", "TIMEOUT", "RATE_LIMITED")
_FAILURES = [getattr(signals, f"SIGNAL_{name}", name) for name in _NAMES]


def enqueued(call: Call) -> Message | None:
    task = call["task"]
    # Groups and chords enqueue their tasks one by one; schedules and retries put them back.
    return executed(call) if isinstance(task, Task) and not is_taken(task) else None


def executed(call: Call) -> Message:
    huey, task = call.instance, call["task"]
    of_redis = any("Redis" in kind.__name__ for kind in type(huey.storage).__mro__)
    system = "redis" if of_redis else "huey"
    return job(huey.name, task.args, task.kwargs, receipt=task.id, system=system)


def raised(call: Call) -> BaseException | None:
    if call["signal"] in _FAILURES:
        return sys.exc_info()[1]
    # Which nothing else tells; what else was raised has been told.
    asked: BaseException = RetryTask()
    return asked if call["signal"] == signals.SIGNAL_RETRYING else None


def id_of(call: Call) -> Any:
    return call["task"].id


ADAPTER = Adapter(
    system="redis",
    carrier=BARE,
    sites=(
        Send("huey.api:Huey.enqueue", enqueued),
        Take("huey.api:Huey.deserialize_task"),
        Handle("huey.api:Huey._execute", executed),
        Fail("huey.api:Huey._emit", receipt=id_of, error=raised),
    ),
)
