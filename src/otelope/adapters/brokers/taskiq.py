"""taskiq: tasks for asyncio, over RabbitMQ, Redis and its other brokers; retries."""

from __future__ import annotations

import copy

from typing import Any

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites import Handle, Send
from otelope.protocols.jobs import job, tried


_SYSTEMS = {"taskiq_aio_pika": "rabbitmq", "taskiq_redis": "redis"}


def kicked(call: Call) -> Message:
    kicker = call.instance
    to = _system(kicker.broker)
    return job(kicker.task_name, call["args"], call["kwargs"], kicker.labels, system=to)


def stamped(call: Call, labels: dict[str, Any]) -> None:
    call.instance = copy.copy(call.instance)
    call.instance.labels = labels


def run(call: Call) -> Message:
    message = call["message"]
    by = _system(call.instance.broker)
    found = job(message.task_name, message.args, message.kwargs, message.labels, system=by)
    return tried(int(message.labels.get("_retries") or 0), found)


def _system(broker: Any) -> str:
    packages = (kind.__module__.partition(".")[0] for kind in type(broker).__mro__)
    return next((_SYSTEMS[each] for each in packages if each in _SYSTEMS), "taskiq")


ADAPTER = Adapter(
    system="redis",
    carrier=MAPPING,
    sites=(
        Send("taskiq.kicker:AsyncKicker.kiq", kicked, stamped),
        Handle("taskiq.receiver.receiver:Receiver.run_task", run, lambda result: result.error),
    ),
)
