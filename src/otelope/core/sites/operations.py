"""Functions through which a library makes calls of many kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from otelope.core.adapter import Site, Wrapper
from otelope.core.call import Call
from otelope.core.guard import guard
from otelope.core.sites.wrapping import Wrapping


@dataclass(frozen=True)
class Operations:
    """
    A function through which a library makes calls of many kinds.

    Args:
        target: ``module:Class.method``.
        named: What kind a call is of.
        sites: What the calls of a kind do with messages, each with the same target; calls of
            other kinds pass.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    named: Callable[[Call], str]
    sites: Mapping[str, Site]
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        wrappers = {name: site.wrapper(wrapping) for name, site in self.sites.items()}

        # Where the function is asynchronous, so is what each wrapper returns.
        def operate(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            wrapper = None
            with guard:
                name = self.named(Call(wrapping.parameters, instance, args, kwargs))
                wrapper = wrappers.get(name)
            if wrapper is None:
                return wrapped(*args, **kwargs)
            return wrapper(wrapped, instance, args, kwargs)

        return operate
