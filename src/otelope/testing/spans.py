"""One service under instrumentation: its spans and records as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import Span

from otelope import instrumentor
from otelope.core.placement import Spot
from otelope.core.records import DeliveryRecord, EnvelopeRecord, Record
from otelope.model import semconv


class Node(NamedTuple):
    """A span of ours in its tree: what it stands for, and what hangs below it."""

    name: str
    children: tuple[Node, ...] = ()

    def lines(self, indent: str = "") -> list[str]:
        """The tree as indented lines."""
        below = [line for child in self.children for line in child.lines(indent + "  ")]
        return [indent + self.name, *below]


class Service:
    """
    A process that otelope instruments, with its spans and records kept in memory.

    Args:
        sampler: The TracerProvider's.
    """

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(
            sampler=sampler,
            resource=Resource({"service.name": "tests", "service.version": "1"}),
            shutdown_on_exit=False,
        )
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.records: list[Record] = []

    def instrument(self) -> None:
        """Instrument the libraries of this process, with the environment as it is now."""
        instrumentor.instrument(
            tracer_provider=self.provider,
            recorder=self.records.append,
            # Of the fast lane; among the others in the order of their ends.
            span_recorder=lambda span: self._exporter.export([span]),
        )

    def forget(self) -> None:
        """Lose the memory of what was sent and received, as another process has none."""
        active = instrumentor.active()
        assert active is not None
        active.parts.instrumenter.memory.clear()

    def spans(self, operation: str | None = None, of: str | None = None) -> list[ReadableSpan]:
        """Our finished spans in the order of their start, of one operation, of one type."""
        found = [
            span
            for span in self._exporter.get_finished_spans()
            if is_ours(span)
            and operation in (None, _attribute(span, semconv.MESSAGING_OPERATION_NAME))
            and of in (None, _attribute(span, semconv.ENVELOPE_TYPE))
        ]
        return sorted(found, key=lambda span: span.start_time or 0)

    def all_spans(self) -> tuple[ReadableSpan, ...]:
        """Every finished span, those of other instrumentations too."""
        return self._exporter.get_finished_spans()

    def envelopes(self) -> list[EnvelopeRecord]:
        """The envelope records so far."""
        return [record for record in self.records if isinstance(record, EnvelopeRecord)]

    def done(self) -> list[DeliveryRecord]:
        """The delivery records so far: of handling, sending again and storing."""
        return [record for record in self.records if isinstance(record, DeliveryRecord)]

    def deliveries(self) -> list[DeliveryRecord]:
        """The delivery records of handling so far."""
        return [record for record in self.done() if record.operation == "process"]

    def shapes(self) -> list[list[str]]:
        """The trees of our spans as indented lines, oldest first; ids and others left out."""
        return [tree.lines() for tree in trees(self.all_spans())]

    def orphans(self) -> list[str]:
        """The names of spans whose parent was never made."""
        spans = self.all_spans()
        known = {span_spot(span) for span in spans}
        return [
            span.name
            for span in spans
            if (above := parent(span)) is not None and above not in known
        ]

    def clear(self) -> None:
        """Start anew."""
        self._exporter.clear()
        self.records.clear()


def trees(spans: Sequence[ReadableSpan]) -> list[Node]:
    """
    The trees that our spans make, oldest root first.

    A span of another instrumentation is passed through: what hangs below it hangs below our
    nearest span above it.
    """
    by_spot = {span_spot(span): span for span in spans}
    children: dict[Spot | None, list[ReadableSpan]] = {}
    for span in sorted(filter(is_ours, spans), key=lambda span: span.start_time or 0):
        above = parent(span)
        while above is not None and above in by_spot and not is_ours(by_spot[above]):
            above = parent(by_spot[above])
        children.setdefault(above if above in by_spot else None, []).append(span)

    def node(span: ReadableSpan) -> Node:
        return Node(_label(span), tuple(map(node, children.get(span_spot(span), ()))))

    return [node(root) for root in children.get(None, ())]


def is_ours(span: ReadableSpan) -> bool:
    """Whether otelope made it."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name == semconv.SCOPE


def span_spot(span: ReadableSpan | Span) -> Spot:
    """Where a span is."""
    context = span.get_span_context()
    assert context is not None
    return Spot(context.trace_id, context.span_id)


def parent(span: ReadableSpan) -> Spot | None:
    """Where its parent is; None for a root."""
    return Spot(span.parent.trace_id, span.parent.span_id) if span.parent else None


def links(span: ReadableSpan | Span) -> list[Spot]:
    """Where its links point."""
    found = getattr(span, "links", ())
    return [Spot(link.context.trace_id, link.context.span_id) for link in found]


def described(span: ReadableSpan) -> dict[str, Any]:
    """Everything about a span that does not depend on chance or the clock."""
    return {
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "parent": parent(span),
        "links": links(span),
        "attributes": dict(span.attributes or {}),
    }


def _label(span: ReadableSpan) -> str:
    named = str(_attribute(span, semconv.ENVELOPE_TYPE) or "batch")
    processes = _attribute(span, semconv.MESSAGING_OPERATION_NAME) == "process"
    return f"process {named}" if processes else named


def _attribute(span: ReadableSpan, name: str) -> Any:
    return (span.attributes or {}).get(name)
