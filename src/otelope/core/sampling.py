"""The SDK's own samplers: what they answer depends on so little that they need not be asked."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry.trace import SpanContext, TraceFlags


_MODULE = "opentelemetry.sdk.trace.sampling"
_ALL = 1 << 64
_LOW_64 = _ALL - 1
# By a sampled and an unsampled parent, remote and local: what `ParentBased` does unless told.
_DELEGATES = {
    "_remote_parent_sampled": _ALL,
    "_remote_parent_not_sampled": 0,
    "_local_parent_sampled": _ALL,
    "_local_parent_not_sampled": 0,
}


class StockSampler(NamedTuple):
    """
    The answers of a sampler that goes by trace id and parent alone.

    Args:
        bound: It takes the traces the last 64 bits of whose ids are less.
        parent_based: Whether it does to a span with a parent what was done to that.
    """

    bound: int
    parent_based: bool

    def takes(self, trace_id: int, parent: SpanContext | None) -> bool:
        """Whether it records and samples a span."""
        if parent is not None and self.parent_based:
            return bool(parent.trace_flags & TraceFlags.SAMPLED)
        return trace_id & _LOW_64 < self.bound


def stock_sampler(sampler: Any) -> StockSampler | None:
    """The answers of one of the SDK's samplers; None for one that has to be asked."""
    parent_based = _decided_by(sampler) == "ParentBased.should_sample"
    if parent_based:
        delegates = {name: _bound(getattr(sampler, name, None)) for name in _DELEGATES}
        if delegates != _DELEGATES:
            return None
        sampler = getattr(sampler, "_root", None)
    bound = _bound(sampler)
    return StockSampler(bound, parent_based) if bound is not None else None


def _bound(sampler: Any) -> int | None:
    decided_by = _decided_by(sampler)
    if decided_by == "TraceIdRatioBased.should_sample":
        return int(sampler.bound)
    if decided_by == "StaticSampler.should_sample":
        decision = getattr(getattr(sampler, "_decision", None), "name", None)
        return {"DROP": 0, "RECORD_AND_SAMPLE": _ALL}.get(decision or "")
    return None


def _decided_by(sampler: Any) -> str:
    # By the method, as subclasses may have another; by name, as the core never loads the SDK.
    method: Any = getattr(sampler, "should_sample", None)
    return str(method.__qualname__) if getattr(method, "__module__", None) == _MODULE else ""
