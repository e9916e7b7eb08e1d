"""What a job of any library says: its queue, and what it is called with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from otelope.core.message import Message


def job(
    queue: str | None,
    args: Iterable[Any],
    kwargs: Mapping[str, Any],
    headers: Mapping[str, Any] | None = None,
    **known: Any,
) -> Message:
    """
    A job by the queue that it waits in.

    Args:
        queue: None where the library does not say.
        args, kwargs: What the function is called with; one of them may be an envelope.
        headers: Where the library has a place for them.
        known: What else is known of it, as in `Message`.
    """
    return Message(queue, None, headers, arguments=(*args, *kwargs.values()), **known)


def tried(before: Any, job: Message) -> Message:
    """The job as it is handled, with the number of attempts before; None where that is unknown."""
    if not isinstance(before, int):
        return job
    return replace(job, attempt=before + 1, redelivered=before > 0)
