"""dramatiq: messages to actors, over RabbitMQ, Redis and in memory; retries and pipelines."""

from __future__ import annotations

from typing import Any

from dramatiq import Message as Enqueued
from dramatiq import worker
from dramatiq.broker import MessageProxy
from msgspec.structs import replace

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites import Fail, Handle, Send
from otelope.protocols.jobs import job, tried


_BROKERS = {"rabbitmq": "RabbitmqBroker", "redis": "RedisBroker", "stub": "StubBroker"}
_THREAD = "WorkerThread" if hasattr(worker, "WorkerThread") else "_WorkerThread"  # renamed in 2.0


def carried(message: Any, broker: Any = None) -> Message:
    found = job(message.queue_name, message.args, message.kwargs, message.options)
    found = tried(message.options.get("retries", 0), found)
    modules = [kind.__module__ for kind in type(broker).__mro__]
    known = (s for s in ("rabbitmq", "redis") if f"dramatiq.brokers.{s}" in modules)
    return replace(found, receipt=message.message_id, system=next(known, "dramatiq"))


def stamped(call: Call, options: dict[str, Any]) -> None:
    call["message"] = call["message"].copy(options=options)


def enqueued(call: Call) -> Message:
    return carried(call["message"], call.instance)


def processed(call: Call) -> Message:
    return carried(call["message"], call.instance.broker)


def enqueues(module: str, name: str) -> tuple[str, Adapter]:
    sends = Send(f"dramatiq.brokers.{module}:{name}.enqueue", enqueued, stamped)
    return f"dramatiq.brokers.{module}", Adapter("rabbitmq", MAPPING, (sends,))


_RAISED = Fail(
    "dramatiq.broker:MessageProxy.stuff_exception",
    receipt=lambda call: call.instance.message_id,
    error=lambda call: call["exception"],
)
ADAPTER = Adapter(
    system="rabbitmq",
    carrier=MAPPING,
    sites=(Handle(f"dramatiq.worker:{_THREAD}.process_message", processed), _RAISED),
    parts=tuple(enqueues(*each) for each in _BROKERS.items()),
    message=lambda item: carried(item) if isinstance(item, Enqueued | MessageProxy) else None,
)
