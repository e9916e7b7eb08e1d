"""The user's TracerProvider, as far as we need it: spans with given ids, its sampler's word."""

from __future__ import annotations

import threading

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from otelope.core.contexts import NO_STATE, span_in, valid_context
from otelope.core.guard import guard
from otelope.core.placement import Placement, Spot
from otelope.core.sampling import StockSampler, stock_sampler
from otelope.model import semconv


_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
RANDOM = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)  # since 1.42
_FLAGS_KEPT = 4096


class PinnedIds:
    """An id generator whose next ids can be given; otherwise another generator's."""

    def __init__(self, generator: Any) -> None:
        self.generator = generator
        self._next = threading.local()
        # Asked at each span since 1.42; older generators have no such method.
        self.is_trace_id_random = getattr(generator, "is_trace_id_random", bool)

    def pin(self, trace_id: int, span_id: int) -> None:
        """Give the ids of the next span that this thread starts; 0 gives none."""
        self._next.trace_id = trace_id
        self._next.span_id = span_id

    def generate_trace_id(self) -> int:
        pinned = getattr(self._next, "trace_id", 0)
        self._next.trace_id = 0
        return pinned or int(self.generator.generate_trace_id())

    def generate_span_id(self) -> int:
        pinned = getattr(self._next, "span_id", 0)
        self._next.span_id = 0
        return pinned or int(self.generator.generate_span_id())


class Tracing:
    """
    Makes spans through the provider that is set, also when it is set late.

    This is the seam for another way of making spans, `otelope.core.fast_lane`: `active`, `start`,
    `context_of`, `sampled` and `resource` are all that the instrumenter asks for.

    Args:
        provider: The provider to use; None follows OpenTelemetry's global one.
    """

    def __init__(self, provider: Any = None) -> None:
        self._given = provider
        self._seen: Any = None
        self._tracer: Any = None
        self._ids: PinnedIds | None = None
        self._stock: StockSampler | None = None
        self._flags: OrderedDict[int, TraceFlags] = OrderedDict()

    @property
    def active(self) -> bool:
        """Whether there is an SDK that makes spans."""
        provider = self._given or trace.get_tracer_provider()
        if provider is not self._seen:
            self._adopt(provider)
        return self._ids is not None

    @property
    def resource(self) -> Mapping[str, Any]:
        """The resource attributes of the provider; empty without an SDK."""
        provider = self._given or trace.get_tracer_provider()
        resource = getattr(provider, "resource", None)
        return resource.attributes if resource is not None else {}

    def sampled(self, trace_id: int) -> TraceFlags:
        """What the provider's own sampler answers for this trace id."""
        if self._stock is not None:
            return _SAMPLED if self._stock.takes(trace_id, None) else _NOT_SAMPLED
        flags = self._flags.get(trace_id)
        if flags is None:
            result = self._seen.sampler.should_sample(Context(), trace_id, semconv.SCOPE)
            flags = _SAMPLED if result.decision.is_sampled() else _NOT_SAMPLED
            self._flags[trace_id] = flags
            if len(self._flags) > _FLAGS_KEPT:
                self._flags.popitem(last=False)
        return flags

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
        """
        Start a span.

        Args:
            name, kind, attributes: As `Tracer.start_span` takes them.
            placement: Where it goes.
            context: What is current, with the baggage that came with the message.
            contexts: Real span contexts of the spots that the placement may name (the current
                span, the propagated one): their flags and state are honoured.
            started_ns: Unix nanoseconds.
        """
        if not self.active:
            return trace.INVALID_SPAN
        assert self._ids is not None  # noqa: S101 - what `active` says
        parent = self.context_of(placement.parent, contexts) if placement.parent else None
        if self._stock is not None:
            dropped = self._dropped(placement, parent, self._stock)
            if dropped is not None:
                return dropped
        context = below(context, parent)
        self._ids.pin(placement.trace_id, placement.span_id)
        return self._tracer.start_span(  # type: ignore[no-any-return]  # any provider's tracer
            name,
            context,
            kind,
            attributes,
            [Link(self.context_of(spot, contexts)) for spot in placement.links],
            started_ns,
        )

    def flush(self, timeout: float) -> None:
        """Ask the provider to export its spans; how long that takes is the provider's to say."""
        provider = self._given or trace.get_tracer_provider()
        force_flush = getattr(provider, "force_flush", None)
        if force_flush is not None:
            with guard:
                force_flush(int(timeout * 1000))

    def _dropped(
        self, placement: Placement, parent: SpanContext | None, stock: StockSampler
    ) -> Span | None:
        """
        What the SDK answers for a span that its sampler does not take, for 2 µs instead of 6.

        None where it has to be asked.
        """
        trace_id = parent.trace_id if parent is not None else placement.trace_id
        if not trace_id or stock.takes(trace_id, parent) or not self._tracer._is_enabled():  # noqa: SLF001 - `_drops_unseen` looked
            return None
        assert self._ids is not None  # noqa: S101 - what `active` says
        if parent is not None:
            flags, state = parent.trace_flags & RANDOM, parent.trace_state
        else:
            flags, state = RANDOM if self._ids.is_trace_id_random() else 0, NO_STATE
        span_id = placement.span_id or self._ids.generate_span_id()
        return NonRecordingSpan(SpanContext(trace_id, span_id, False, TraceFlags(flags), state))  # noqa: FBT003 - is_remote

    def context_of(self, spot: Spot, contexts: Sequence[SpanContext]) -> SpanContext:
        """The span context of a spot, as `start` makes it or takes it from real ones."""
        trace_id, span_id = spot
        for known in contexts:
            if known[0] == trace_id:
                if known[1] == span_id:
                    return known
                return valid_context(trace_id, span_id, True, known[3], known[4])  # noqa: FBT003 - is_remote
        return valid_context(trace_id, span_id, True, self.sampled(trace_id), NO_STATE)  # noqa: FBT003 - is_remote

    def _adopt(self, provider: Any) -> None:
        tracer = provider.get_tracer(semconv.SCOPE, None, semconv.SCHEMA_URL)
        generator = getattr(tracer, "id_generator", None)
        if generator is None or getattr(provider, "sampler", None) is None:
            self._ids = None  # the API's own provider: nothing is traced, yet
        else:
            # get_tracer gives the same Tracer for one scope (since 1.41), so it may be pinned.
            self._ids = generator if isinstance(generator, PinnedIds) else PinnedIds(generator)
            tracer.id_generator = self._ids
        self._stock = self._stock_of(tracer)
        self._tracer = tracer
        self._flags.clear()
        self._seen = provider

    def _stock_of(self, tracer: Any) -> StockSampler | None:
        """What need not be asked of the tracer's sampler."""
        return stock_sampler(tracer.sampler) if _drops_unseen(tracer) else None


def below(context: Context, parent: SpanContext | None) -> Context:
    """A context whose span is the given parent, or none."""
    here = span_in(context).get_span_context()
    if parent is not None and parent is not here:
        return trace.set_span_in_context(NonRecordingSpan(parent), context)
    if parent is None and here.is_valid:
        return trace.set_span_in_context(trace.INVALID_SPAN, context)
    return context


def _drops_unseen(tracer: Any) -> bool:
    """Whether nobody notices a span that is not taken: no other tracer, and no metric of them."""
    start_span = getattr(type(tracer), "start_span", None)
    metrics = getattr(tracer, "_tracer_metrics", None)  # 1.41 counts all spans, later ones if told
    return (
        getattr(start_span, "__module__", None) == "opentelemetry.sdk.trace"
        and type(metrics).__name__ == "NoOpTracerMetrics"
        and hasattr(tracer, "_is_enabled")
    )
