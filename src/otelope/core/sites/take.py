"""Functions that answer with a job out of its library's queue."""

from __future__ import annotations

import weakref

from dataclasses import dataclass
from typing import Any

from otelope.core.adapter import Wrapper
from otelope.core.guard import guard
from otelope.core.sites.wrapping import Wrapping


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
