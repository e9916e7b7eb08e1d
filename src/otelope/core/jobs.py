"""What a job of any library says: its queue, and what it is called with."""

from __future__ import annotations

import weakref

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from otelope.core.adapter import Wrapper
from otelope.core.guard import guard
from otelope.core.message import Message
from otelope.core.sites import Wrapping


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
    return job._replace(attempt=before + 1, redelivered=before > 0)


# By identity, as libraries compare their jobs by id; each goes with its job.
_taken: dict[int, weakref.ref[Any]] = {}


def is_taken(found: Any) -> bool:
    """Whether a job came out of its library's queue in this process (`Take`)."""
    known = _taken.get(id(found))
    return known is not None and known() is found


@dataclass(frozen=True)
class Take:
    """
    A function that answers with a job out of the library's queue or schedule.

    Where a job has no headers, that says that it has been sent: what puts it back sends nothing.

    Args:
        target: ``module:Class.method``.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    parameters: str = ""

    def wrapper(self, _: Wrapping) -> Wrapper:
        def take(wrapped: Wrapper, _: Any, args: Any, kwargs: Any) -> Any:
            found = wrapped(*args, **kwargs)
            with guard:
                place = id(found)
                _taken[place] = weakref.ref(found, lambda _: _taken.pop(place, None))
            return found

        return take
