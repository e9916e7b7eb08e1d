"""Traces that start here start a lineage, which ids can continue."""

from __future__ import annotations

from typing import Any

from otelope.model.identity import new_trace_id


class LineageIds:
    """The stock random id generator, but each new trace has a lineage that ids can continue."""

    def __init__(self, generator: Any) -> None:
        self.generate_span_id = generator.generate_span_id
        # Asked at each span since 1.42; older generators have no such method.
        self.is_trace_id_random = getattr(generator, "is_trace_id_random", None)

    def generate_trace_id(self) -> int:
        return new_trace_id()


def give_lineage(provider: Any) -> None:
    """
    Let the provider's new traces start a lineage, if its id generator is the stock random one.

    To be called before other instrumentations ask it for tracers: each tracer keeps the generator
    it was made with. Does nothing without the SDK.
    """
    generator = getattr(provider, "id_generator", None)
    if type(generator).__name__ == "RandomIdGenerator":
        provider.id_generator = LineageIds(generator)
