"""What a context holds, read without the checks of OpenTelemetry's own functions."""

from __future__ import annotations

from typing import Any

from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span


# The keys are OpenTelemetry's secret; a context that it made knows them.
(_SPAN,) = trace.set_span_in_context(trace.INVALID_SPAN, Context())
(_BAGGAGE,) = baggage.set_baggage("", "", Context())


def span_in(context: Context) -> Span:
    """The span that is current in a context, for 0.1 µs where `get_current_span` takes 0.6."""
    span: Any = context.get(_SPAN)
    return span if span is not None else trace.INVALID_SPAN


def has_baggage(context: Context) -> bool:
    """Whether a context has baggage, for 0.1 µs where `get_all` takes 0.4."""
    return bool(context.get(_BAGGAGE))
