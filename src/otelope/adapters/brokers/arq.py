"""arq: jobs for asyncio over Redis; deferred ones and retries."""

from __future__ import annotations

from typing import Any

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import BARE
from otelope.core.message import Message
from otelope.core.sites import Process, Send, Within
from otelope.protocols.jobs import job, tried


def enqueued(call: Call) -> Message:
    queue = call["_queue_name"] or call.instance.default_queue_name
    return job(queue, call["args"], call["kwargs"])


def run(ctx: Any, /, *args: Any, **kwargs: Any) -> Message | None:
    # Whose application calls its function itself, as tests do, hands over what it likes.
    if not isinstance(ctx, dict) or "job_try" not in ctx:
        return None
    return tried(ctx["job_try"] - 1, job(None, args, kwargs))


ADAPTER = Adapter(
    system="redis",
    carrier=BARE,
    sites=(
        Send(
            "arq.connections:ArqRedis.enqueue_job",
            enqueued,
            # None where a job of this id is there.
            answered=lambda enqueued: "exists" if enqueued is None else None,
        ),
        Within("arq.worker:Worker.run_job", lambda call: call.instance.queue_name),
        # What a worker makes of each function that it is given, and `func` for it.
        Process("arq.worker:Function.__init__", run, "coroutine"),
    ),
)
