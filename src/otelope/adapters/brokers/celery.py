"""Celery: what its workers do, and tasks that run where they are called; kombu sends others."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from celery.app import app_or_default
from celery.app.task import Context
from celery.exceptions import Ignore, Retry

from otelope.core.adapter import Adapter, Site
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites.made import Make, Opened
from otelope.protocols.celery_tasks import task
from otelope.protocols.kombu_transports import system_of


_WORKER = "celery.worker.consumer.consumer"  # which has a name of its own for what it imports


def traced(making: Call, call: Call) -> Message:
    speaks = "celery" if making["eager"] else _system(making["app"] or making["task"].app)
    # Celery 5.3 does not say who an eager task is.
    named = {"task": making["name"], "id": call["uuid"], "root_id": call["uuid"]}
    return task({**named, **(call["request"] or {})}, call["args"], call["kwargs"], speaks)


def requested(item: Any) -> Message | None:
    if not isinstance(item, Context) or item.id is None:
        return None
    speaks = "celery" if item.is_eager else _system(app_or_default())
    return task(vars(item), item.args, item.kwargs, speaks)


def failure(answer: Any) -> BaseException | None:
    error = getattr(answer.info, "retval", None)
    if isinstance(error, Retry):
        error = error.exc or error
    return error if isinstance(error, BaseException) and not isinstance(error, Ignore) else None


@lru_cache(maxsize=8)
def _system(app: Any) -> str | None:
    return system_of(app.connection_for_read())  # which connects to nothing yet


def _adapter(module: str, *others: Site, **more: Any) -> Adapter:
    made = Make(f"{module}:build_tracer", traced, failure, lambda call: bool(call["eager"]))
    contrib = "opentelemetry.instrumentation.celery:CeleryInstrumentor"
    return Adapter("rabbitmq", MAPPING, (made, *others), contrib, **more)


_OPENED = Opened("celery.app.trace:send_prerun")
_PARTS = ((_WORKER, _adapter(_WORKER)),)
ADAPTER = _adapter("celery.app.trace", _OPENED, parts=_PARTS, message=requested)
