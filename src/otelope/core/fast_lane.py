"""The fast lane: spans made without the SDK, placed and sampled as it would have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from otelope.core.contexts import NO_STATE, valid_context
from otelope.core.placement import Placement
from otelope.core.sampling import StockSampler, stock_sampler
from otelope.core.spans import Limits, Maker, OwnSpan
from otelope.core.tracing import RANDOM, Tracing, below


_SAMPLED = TraceFlags.SAMPLED
# A flag is a number that knows its name: 0.1 µs to look one up, 0.3 to make one.
_FLAGS = tuple(map(TraceFlags, range((_SAMPLED | RANDOM) + 1)))

_LIMITS = {
    "attributes": "max_span_attributes",
    "events": "max_events",
    "links": "max_links",
    "event_attributes": "max_event_attributes",
    "link_attributes": "max_link_attributes",
    "span_text": "max_span_attribute_length",
    "text": "max_attribute_length",
}


class FastTracing(Tracing):
    """
    Makes spans of our own, where and as the provider that is set would have made its.

    The provider's processors and exporters do not see them.

    Args:
        provider: As of `Tracing`.
        record: Takes each sampled span when it ends, in the host's thread; as a `Recorder`.
    """

    def __init__(self, provider: Any, record: Callable[[OwnSpan], None]) -> None:
        super().__init__(provider)
        self._record = record
        self._maker = Maker(None, Limits())
        self._roomy = True
        self._generator: Any = None
        self._enabled: Callable[[], bool] = bool
        self._random: Callable[[], int] = int

    def start(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any],
        placement: Placement,
        *,
        context: Context,
        contexts: Sequence[SpanContext],
        started_ns: int,
    ) -> Span:
        """Start a span, as `Tracing.start`."""
        if not self.active:
            return trace.INVALID_SPAN
        parent = self.context_of(placement.parent, contexts) if placement.parent else None
        if not self._enabled():
            return NonRecordingSpan(parent or trace.INVALID_SPAN_CONTEXT)
        generator = self._generator
        if parent is not None:
            trace_id, _, _, flags, state, _ = parent  # taken apart, a call less for each field
            random = flags & RANDOM
        else:
            trace_id = placement.trace_id or generator.generate_trace_id()
            random, state = self._random(), NO_STATE
        linked = (
            [self.context_of(spot, contexts) for spot in placement.links]
            if placement.links
            else ()
        )
        span_id = placement.span_id or generator.generate_span_id()
        if self._stock is None:
            asked = self._tracer.sampler.should_sample(
                below(context, parent), trace_id, name, kind, attributes, list(map(Link, linked))
            )
            recording, sampled = asked.decision.is_recording(), asked.decision.is_sampled()
            attributes, state = asked.attributes, asked.trace_state or NO_STATE
        else:
            recording = sampled = self._stock.takes(trace_id, parent)
        own = valid_context(trace_id, span_id, False, _FLAGS[random | sampled], state)  # noqa: FBT003 - is_remote
        if not recording:
            return NonRecordingSpan(own)
        record = self._record if sampled else _forget
        span = OwnSpan(
            name, kind, attributes, own, parent, linked, started_ns, self._maker, record
        )
        if self._stock is None or not self._roomy:
            span.bounded_attributes()
            span.bounded_links()
        return span

    def _adopt(self, provider: Any) -> None:
        super()._adopt(provider)
        tracer = self._tracer
        given = getattr(tracer, "_span_limits", None)
        if given is None:
            limits = Limits()
        else:
            own = Limits._field_defaults
            read = {name: getattr(given, theirs, own[name]) for name, theirs in _LIMITS.items()}
            limits = Limits(**read)
        self._maker = Maker(provider, limits)
        self._roomy = limits.roomy
        self._enabled = getattr(tracer, "_is_enabled", lambda: True)
        ids = self._ids
        if ids is not None:
            self._generator = ids.generator
            self._random = lambda: RANDOM if RANDOM and ids.is_trace_id_random() else 0

    def _stock_of(self, tracer: Any) -> StockSampler | None:
        return stock_sampler(getattr(tracer, "sampler", None))


def _forget(_: OwnSpan) -> None: ...
