"""A tree's records as the spans of one trace."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from otelope.model import semconv
from otelope.model.identity import identify, stitched_trace_id
from otelope.store.trees import Node, Tree


Row = dict[str, Any]

_SCOPE = InstrumentationScope(semconv.SCOPE, None, semconv.SCHEMA_URL)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# Jaeger 2.13 takes a span of no length for one of negative length, and changes it.
_SHORTEST_NS = 1000
_FAILED = Status(StatusCode.ERROR)
_NOT_FAILED = Status()


def chain_spans(tree: Tree) -> Iterator[ReadableSpan]:
    """
    The spans of the trace that stands for a tree, each before those below it. Pure.

    The trace id is `stitched_trace_id` of the root's id. The same tree makes the same spans:

    - One PRODUCER per envelope, with the span id that its id stands for, at the envelope's first
      sending. It is as long as that is recorded to have taken, else 1 µs. Where none is recorded
      it is called ``create``, at the envelope's timestamp, in the envelope's source.
    - An envelope that is only known by its id is ``not recorded``, a PRODUCER of the service
      ``otelope``, at the earliest moment below it. So the trace has one root.
    - One CONSUMER per handling and one PRODUCER per further sending, below their envelope.
    - One INTERNAL per transaction that stored it, beside the envelope. Where the envelope's own
      span was that of a transaction, it is so here.
    - An envelope stands below the handling that caused it, where that is recorded, else below
      its parent.

    What is no envelope has the span id SHA-256("otelope.stitch" ++ envelope id ++ 0x00 ++
    operation ++ 0x00 ++ trace id ++ span id)[0:8], with the ids of the span as recorded, in
    hexadecimal. Each links to that. A tree that is cut off has the spans of what is left.
    """
    trace_id = stitched_trace_id(tree["root"]["id"])
    pending: list[tuple[Node, SpanContext | None]] = [(tree["root"], None)]
    while pending:
        node, above = pending.pop()
        of_envelope = _Envelope(node, trace_id)
        yield of_envelope.span(above)
        for row in node["stores"]:
            if row is not of_envelope.own:
                yield of_envelope.stored(row, above)
        for row in node["sends"]:
            if row is not of_envelope.own:
                yield of_envelope.sent(row)
        handled = {}
        for row in node["deliveries"]:
            span = of_envelope.handled(row)
            handled[row["span_id"]] = span.context
            yield span
        pending.extend(
            (child, handled.get(child["cause_span_id"], of_envelope.context))
            for child in reversed(node["children"])
        )


def trace_ids_of(tree: Tree) -> set[str]:
    """The traces in which the envelopes of a tree stand, and their handlings."""
    found = set(tree["trace_ids"])
    pending = [tree["root"]]
    while pending:
        node = pending.pop()
        found.update(row["trace_id"] for row in node["deliveries"])
        pending.extend(node["children"])
    return found - {""}


class _Envelope:
    """
    One envelope's spans.

    Attributes:
        own: What the envelope's own span tells of, its first sending or a transaction; None where
            neither is recorded.
        context: Where its own span is.
    """

    def __init__(self, node: Node, trace_id: int) -> None:
        self._node = node
        self._trace_id = trace_id
        self._name = node["type"] or ""
        self.own: Row | None = next(
            (
                row
                for row in (*node["sends"], *node["stores"])
                if row["span_id"] == node["span_id"]
            ),
            None,
        )
        self.context = _context(trace_id, identify(node["id"]).span_id)

    def span(self, above: SpanContext | None) -> ReadableSpan:
        node, own = self._node, self.own
        if node["missing"]:
            return self._span(
                "not recorded", SpanKind.PRODUCER, self.context, above,
                started_ms=_earliest(node), service=semconv.SCOPE,
            )  # fmt: skip
        if own is None:
            return self._span(
                f"create {node['channel'] or self._name}", SpanKind.PRODUCER, self.context, above,
                original=node, started_ms=node["timestamp"],
                service=node["source"]["name"] or node["service"],
                attributes=_messaging("create", node["channel"]),
            )  # fmt: skip
        if "outbox" in own:
            return self._stored(own, self.context, above)
        return self._sent(own, self.context, above)

    def stored(self, row: Row, above: SpanContext | None) -> ReadableSpan:
        context = self._context_of("outbox" if row["outbox"] else "store", row)
        return self._stored(row, context, above or self.context)

    def sent(self, row: Row) -> ReadableSpan:
        return self._sent(row, self._context_of("send", row), self.context)

    def handled(self, row: Row) -> ReadableSpan:
        return self._done(
            row, f"process {row['channel'] or self._name}", SpanKind.CONSUMER,
            self._context_of("process", row), self.context, _messaging("process", row["channel"]),
        )  # fmt: skip

    def _stored(self, row: Row, context: SpanContext, above: SpanContext | None) -> ReadableSpan:
        return self._done(
            row, f"store {row['channel'] or self._name}", SpanKind.INTERNAL, context, above,
            {semconv.STORE_NAME: row["channel"]},
        )  # fmt: skip

    def _sent(self, row: Row, context: SpanContext, above: SpanContext | None) -> ReadableSpan:
        channel = row["channel"] or self._node["channel"]
        return self._done(
            row, f"send {channel or self._name}", SpanKind.PRODUCER, context, above,
            _messaging("send", channel),
        )  # fmt: skip

    def _done(
        self,
        row: Row,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        above: SpanContext | None,
        attributes: Row,
    ) -> ReadableSpan:
        return self._span(
            name, kind, context, above, original=row, started_ms=row["started"],
            duration_ms=row["duration_ms"] or 0.0, service=row["service"], version=row["version"],
            attributes=attributes | {semconv.ERROR_TYPE: row["error_type"]},
            failed=row["outcome"] == "error",
        )  # fmt: skip

    def _span(
        self,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        above: SpanContext | None,
        *,
        started_ms: float,
        service: str,
        duration_ms: float = 0.0,
        version: str = "",
        original: Row | None = None,
        attributes: Row | None = None,
        failed: bool = False,
    ) -> ReadableSpan:
        links = []
        if original and original["trace_id"] and original["span_id"]:
            links.append(
                Link(_context(int(original["trace_id"], 16), int(original["span_id"], 16)))
            )
        return ReadableSpan(
            name,
            context,
            above,
            Resource(
                _known({semconv.SERVICE_NAME: service, semconv.SERVICE_VERSION: version}),
            ),
            _known(self._about() | (attributes or {})),
            (),
            links,
            kind,
            status=_FAILED if failed else _NOT_FAILED,
            start_time=_nanoseconds(started_ms),
            end_time=_nanoseconds(started_ms) + max(_nanoseconds(duration_ms), _SHORTEST_NS),
            instrumentation_scope=_SCOPE,
        )

    def _about(self) -> Row:
        node = self._node
        source = node["source"] or {"name": None, "version": None}
        return {
            semconv.ENVELOPE_ID: node["id"],
            semconv.ENVELOPE_TYPE: node["type"],
            semconv.ENVELOPE_PARENT_ID: node["parent_id"],
            semconv.ENVELOPE_SOURCE_NAME: source["name"],
            semconv.ENVELOPE_SOURCE_VERSION: source["version"],
            semconv.ENVELOPE_KIND: node["kind"],
            semconv.STITCHED: True,
        }

    def _context_of(self, operation: str, row: Row) -> SpanContext:
        told = f"{self._node['id']}\0{operation}\0{row['trace_id']}{row['span_id']}"
        digest = sha256(b"otelope.stitch" + told.encode("utf-8", "surrogatepass")).digest()
        return _context(self._trace_id, int.from_bytes(digest[:8], "big") or 1)


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=_SAMPLED)


def _messaging(operation: str, channel: str | None) -> Row:
    return {
        semconv.MESSAGING_OPERATION_NAME: operation,
        semconv.MESSAGING_OPERATION_TYPE: operation,
        semconv.MESSAGING_DESTINATION_NAME: channel,
    }


def _known(attributes: Row) -> Row:
    return {name: value for name, value in attributes.items() if value}


def _nanoseconds(ms: float) -> int:
    # Recorded to the microsecond; a moment in milliseconds is no whole number in floating point.
    return round(ms * 1000) * 1000


def _earliest(node: Node) -> float:
    moments = [row["started"] for row in (*node["deliveries"], *node["sends"], *node["stores"])]
    for child in node["children"]:
        moments += [row["started"] for row in child["sends"]] or [child["timestamp"]]
    return float(min(moments, default=0.0))
