"""The parts of the in-process half, joined; loaded with the first instrumented library."""

from __future__ import annotations

import threading
import time

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from otelope.codecs import Codecs
from otelope.core.adapter import Adapter
from otelope.core.carriers import BARE, MAPPING
from otelope.core.claim import Claim, Portable
from otelope.core.hand_overs import HandOvers
from otelope.core.instrumenter import Instrumenter
from otelope.core.kinds import kind_of
from otelope.core.message import Message
from otelope.core.operation import Arrived, ambient_delivery
from otelope.core.patching import Patches
from otelope.core.records import Operation, Record, Recorder
from otelope.core.settings import Settings
from otelope.core.storer import Storing
from otelope.core.tracing import Tracing
from otelope.export.body import envelope_json
from otelope.export.lifecycle import Lifecycle
from otelope.export.pipeline import LONGEST_CALL, Pipeline
from otelope.model.envelope import Envelope


if TYPE_CHECKING:
    from otelope.core.spans import OwnSpan

_ANY = Adapter(system="otelope", carrier=MAPPING, sites=())
_ANY_WITHOUT_HEADERS = Adapter(system="otelope", carrier=BARE, sites=())


class Parts:
    """
    One process's codecs, instrumenter, wrappers and export pipeline.

    Args:
        tracer_provider: Whose spans to make; None follows OpenTelemetry's global one.
        recorder: Takes the records; None makes a `Pipeline`.
        status: What the process tells of itself.
        span_recorder: Takes the spans of the fast lane; None makes a `Pipeline` for them too.
    """

    def __init__(
        self,
        tracer_provider: Any,
        recorder: Recorder | None,
        status: Callable[[], dict[str, Any]],
        span_recorder: Callable[[OwnSpan], None] | None = None,
    ) -> None:
        self.settings = Settings.from_environment()
        self._status = status
        self._records: Pipeline[Record] | None = None
        self._spans: Pipeline[OwnSpan] | None = None
        kind = kind_of(self.settings.commands, self.settings.events)
        if self.settings.lane == "compat":
            self.tracing = Tracing(tracer_provider)
        else:
            if span_recorder is None:
                span_recorder = self._spans = Pipeline.of_spans(self.settings, self._resource)
            from otelope.core.fast_lane import FastTracing  # noqa: PLC0415 - 3 ms, where wanted

            self.tracing = FastTracing(tracer_provider, span_recorder)
        if recorder is None:
            recorder = self._records = Pipeline.of_records(
                self.settings, self._resource, kind, self._told
            )
        self.codecs = Codecs(dict(self.settings.fields), self.settings.max_body_bytes)
        self.hand_overs = HandOvers()
        self.patches = Patches(self.hand_overs)
        self.instrumenter = Instrumenter(
            self.settings,
            self.codecs.recognise,
            self.codecs.payload_of,
            kind,
            recorder,
            self.tracing,
            self.codecs.candidates,
        )
        self._lifecycle = Lifecycle(self, self.settings.shutdown_timeout)
        self._lifecycle.install()
        for pipeline in self._pipelines:
            pipeline.resume()

    def put(self, adapter: Adapter) -> list[str]:
        """Put an adapter's wrappers in place; why, for those that could not be."""
        return self.patches.put(adapter, self.instrumenter)

    def claim(self, item: object, adapters: Iterable[Adapter]) -> Claim | None:
        """Claim what a library handed over, or an envelope; None when it is none."""
        library: Adapter = _ANY
        message: Message | None = None
        if isinstance(item, Envelope):
            message, envelope = Message(item.channel, None), _as_it_is(item)
            self.instrumenter.create(envelope, library)
        else:
            for adapter in (system for each in adapters for system in each.systems):
                message = adapter.message(item)
                if message is not None:
                    library = adapter
                    break
            message = message or Message(None, item)
            recognised = self.codecs.recognise(message, library.carrier)
            if recognised is None:
                return None
            envelope = recognised
        return self._claimed((message, envelope), library)

    def claim_again(self, portable: Portable) -> Claim:
        """Claim what another process claimed and sent here."""
        message, envelope, headers = portable
        library = _ANY if headers else _ANY_WITHOUT_HEADERS
        return self._claimed((message, envelope), library)

    def _claimed(self, arrived: Arrived, library: Adapter) -> Claim:
        envelope_id = arrived[1].id
        begin = partial(self.instrumenter.handle, [arrived], library)
        delivery = self.hand_overs.hand_on(envelope_id)
        if delivery is None:
            ambient = ambient_delivery()
            if ambient is not None and ambient.handles(envelope_id):
                if ambient.envelope is not None:
                    return Claim(arrived, library, ambient, begin, lasts=True)
                # Of a batch that a callback or a request brought, each is handled by itself.
                ambient.leave(envelope_id)
        return Claim(arrived, library, delivery or begin(), begin, lasts=False)

    def note_made(self, envelope: Envelope) -> None:
        """Keep that this process made the envelope; all of it, where only a part may leave."""
        self.instrumenter.memory.note_made(envelope.id)
        if envelope.outside is not None:
            self.instrumenter.contracts.keep(envelope, envelope_json(envelope))

    def store(self, items: Iterable[object], name: str, operation: Operation) -> Storing | None:
        """Begin to store what is an envelope of these, in one transaction."""
        recognised = [
            _as_it_is(item)
            if isinstance(item, Envelope)
            else self.codecs.recognise(Message(None, item), MAPPING)
            for item in items
        ]
        envelopes = [envelope for envelope in recognised if envelope is not None]
        return self.instrumenter.store(envelopes, name, operation)

    def remove(self) -> None:
        """Take the wrappers away, end what is being handled, export what is left."""
        self.patches.remove()
        self._lifecycle.uninstall()
        self.shutdown(self.settings.shutdown_timeout)

    def shutdown(self, timeout: float) -> bool:
        """End what is being handled and export what is left, within so many seconds."""
        self.hand_overs.end_all()
        self.instrumenter.transactions.end_all()
        ends = time.monotonic() + timeout
        provider = self._flush_provider(timeout)
        delivered = self._shutdown_pipelines(ends)
        if provider is not None:
            # Its own time-out does not hold: 15.8 s were measured for 1 s.
            provider.join(max(0.0, ends - time.monotonic()))
        return delivered

    def _shutdown_pipelines(self, ends: float) -> bool:
        def left() -> float:
            return max(0.0, ends - time.monotonic())

        records, spans = self._records, self._spans
        if records is not None and spans is not None:
            # Both at once. The process's last word comes with the records, and tells of the spans.
            records.hurry()
            if spans.failure is None:
                spans.flush(left() / 2)
        delivered = records is None or records.shutdown(left())
        return (spans is None or spans.shutdown(left())) and delivered

    def _flush_provider(self, timeout: float) -> threading.Thread | None:
        """Export the SDK's spans too, which does so at exit, but not when SIGTERM ends it."""
        provider = threading.Thread(target=self.tracing.flush, args=(timeout,), daemon=True)
        try:
            provider.start()
        except RuntimeError:
            return None  # since 3.12 no thread starts at exit; the SDK has its own turn then
        return provider

    def before_fork(self) -> None:
        """Be ready to be copied."""
        pipelines = self._pipelines
        for pipeline in pipelines:
            pipeline.hold()
        until = time.monotonic() + LONGEST_CALL
        for pipeline in pipelines:
            pipeline.settle(until)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        for pipeline in self._pipelines:
            pipeline.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start anew: what was queued and what was being handled are the parent's."""
        self.hand_overs.forget()
        self.instrumenter.transactions.forget()
        self.instrumenter.contracts.after_fork_in_child()
        for pipeline in self._pipelines:
            pipeline.after_fork_in_child()

    @property
    def _pipelines(self) -> list[Pipeline[Any]]:
        made: list[Pipeline[Any] | None] = [self._records, self._spans]
        return [pipeline for pipeline in made if pipeline is not None]

    def _told(self) -> dict[str, Any]:
        told = {**self._status(), "lane": self.settings.lane}
        if self._spans is not None:
            told["spans"] = self._spans.counters._asdict()
        return told

    def _resource(self) -> dict[str, Any]:
        if self.tracing.resource:
            return dict(self.tracing.resource)
        # Without an SDK in the process the environment still says who it is.
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - 30 ms, rarely needed

        return dict(Resource.create().attributes)


def _as_it_is(envelope: Envelope) -> Envelope:
    """The envelope with its text, as the application may change the payload before the export."""
    if envelope.text is not None or envelope.payload is None:
        return envelope
    try:
        return envelope._replace(text=envelope.to_json(inside=True))
    except (TypeError, ValueError, RecursionError):
        return envelope  # the exporter makes the best of it
