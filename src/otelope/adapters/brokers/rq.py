"""RQ: jobs over Redis, in a work horse of their own; retries, schedules and dependents."""

from __future__ import annotations

from typing import Any

from rq.job import Job

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import MAPPING
from otelope.core.message import Message
from otelope.core.sites import Handle, Send, SendMany
from otelope.protocols.jobs import job


def enqueued(call: Call) -> Message:
    return job(call.instance.name, call["args"] or (), call["kwargs"] or {}, call["meta"])


def enqueued_many(call: Call) -> list[Message]:
    batch = call["job_datas"] = list(call["job_datas"])  # it may be a generator
    return [job(call.instance.name, one.args or (), one.kwargs or {}, one.meta) for one in batch]


def stamped_many(call: Call, metas: Any) -> None:
    pairs = zip(call["job_datas"], metas, strict=True)
    call["job_datas"] = [one._replace(meta=meta) if meta else one for one, meta in pairs]


def enqueued_at(call: Call) -> Message:
    given = call.kwargs  # RQ's own among them, which may be `args` and `kwargs`
    args, kwargs = (*call["args"], *(given.get("args") or ())), given.get("kwargs") or {}
    return job(call.instance.name, args, {**given, **kwargs}, given.get("meta"))


def stamped_at(call: Call, meta: Any) -> None:
    call["kwargs"] = {"meta": meta}


def of(it: Job) -> Message:
    # It counts the retries that are left, not those that were.
    return job(it.origin, it.args, it.kwargs, it.meta)


def performed(call: Call) -> Message:
    return of(call.instance)


ADAPTER = Adapter(
    "redis",
    MAPPING,
    (
        Send("rq.queue:Queue.enqueue_call", enqueued, lambda c, meta: c.__setitem__("meta", meta)),
        Send("rq.queue:Queue.enqueue_at", enqueued_at, stamped_at),
        SendMany("rq.queue:Queue.enqueue_many", enqueued_many, stamped_many),
        Handle("rq.job:Job.perform", performed),
    ),
    message=lambda item: of(item) if isinstance(item, Job) else None,
)
