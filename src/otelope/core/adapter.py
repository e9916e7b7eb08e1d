"""What an adapter says: the client library as data."""

from __future__ import annotations

import functools
import sys

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from otelope.core.carriers import Carrier
from otelope.core.message import Message


if TYPE_CHECKING:
    from otelope.core.sites.wrapping import Wrapping


Wrapper = Callable[..., Any]


class Site(Protocol):
    """A place where messages pass: which function, its parameters where it has no signature."""

    @property
    def target(self) -> str:
        """``module:Class.method``."""
        ...

    @property
    def parameters(self) -> str: ...

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        """A function ``(wrapped, instance, args, kwargs)`` that stands for the target."""
        ...


@dataclass(frozen=True)
class Adapter:
    """
    What otelope knows of one client library.

    Args:
        system: The value of ``messaging.system``.
        carrier: The shape of its headers.
        sites: Where messages pass.
        contrib: ``module:Class`` of OpenTelemetry's own instrumentor of this library, if there
            is one, or of each, with spaces between: where one is active, its send spans are the
            send spans, and ours are the envelope's creation.
        parts: Modules of the library that it does not import itself, or has not in every version,
            each with what is known of it; its sites are wrapped when the application imports it.
        message: From what the library hands to the application to a message, for
            `otelope.handling`; None for what is no message of this library.
        also: Adapters of the other systems that the same library speaks to.
        traced: Whether the library makes send spans itself, because the application wants it to.
    """

    system: str
    carrier: Carrier
    sites: tuple[Site, ...]
    contrib: str = ""
    parts: tuple[tuple[str, Adapter], ...] = ()
    message: Callable[[Any], Message | None] = lambda _: None
    also: tuple[Adapter, ...] = ()
    traced: Callable[[], bool] = lambda: False

    @property
    def systems(self) -> tuple[Adapter, ...]:
        """The adapter of each system, this one first."""
        return self, *self.also

    def sends_traced(self) -> bool:
        """Whether the library, or OpenTelemetry's instrumentation of it, makes send spans."""
        if self.traced():
            return True
        for module, name in self._contrib:
            loaded = sys.modules.get(module)
            if loaded is not None:
                instrumentor = getattr(getattr(loaded, name, None), "_instance", None)
                if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
                    return True
        return False

    @functools.cached_property
    def _contrib(self) -> tuple[tuple[str, str], ...]:
        return tuple((m, name) for m, _, name in (c.partition(":") for c in self.contrib.split()))


def part(system: str, carrier: Carrier, *sites: Site) -> tuple[str, Adapter]:
    """For `Adapter.parts`: sites that are all of the module that the first one's target names."""
    return sites[0].target.partition(":")[0], Adapter(system, carrier, sites)
