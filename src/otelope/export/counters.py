"""How many items of a signal there were and what became of them, also as metrics."""

from __future__ import annotations

import weakref

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from opentelemetry.metrics import CallbackOptions, Observation, get_meter

from otelope.export.signals import LOGS, TRACES, Signal
from otelope.model import semconv


class Counters(NamedTuple):
    """
    What became of the records of this process, or of its spans.

    Args:
        seen: Handed in, and taken over from the spool of processes that ended.
        stored: Acknowledged by the collector.
        spooled: Safe on this machine, not yet acknowledged.
        dropped: Given up: queue full, not encodable, refused by the collector, or no longer
            readable in the spool.
    """

    seen: int = 0
    stored: int = 0
    spooled: int = 0
    dropped: int = 0


_NAMES = {
    LOGS: {
        "seen": semconv.RECORDS_SEEN,
        "stored": semconv.RECORDS_STORED,
        "spooled": semconv.RECORDS_SPOOLED,
        "dropped": semconv.RECORDS_DROPPED,
    },
    TRACES: {
        "seen": semconv.SPANS_SEEN,
        "stored": semconv.SPANS_STORED,
        "spooled": semconv.SPANS_SPOOLED,
        "dropped": semconv.SPANS_DROPPED,
    },
}


class _Source:
    """Who is asked; instruments cannot be taken back, so they outlive the pipelines."""

    def __init__(self) -> None:
        self.observed = False
        self.read: Callable[[], Counters | None] = lambda: None


_sources = {signal: _Source() for signal in _NAMES}


def observe(owner: object, read: Callable[[], Counters], signal: Signal) -> None:
    """
    Let OpenTelemetry's metrics read the counters; of the latest owner, as long as it lives.

    Args:
        owner: Whose counters they are.
        read: A method of *owner*.
        signal: What is counted.
    """
    method = weakref.WeakMethod(read)
    alive = weakref.ref(owner)
    source = _sources[signal]
    source.read = lambda: found() if alive() is not None and (found := method()) else None
    if source.observed:
        return
    source.observed = True
    meter = get_meter(semconv.SCOPE)
    for field, name in _NAMES[signal].items():
        create = (
            meter.create_observable_up_down_counter
            if field == "spooled"
            else meter.create_observable_counter
        )
        callback = partial(_observations, source, field)
        create(name, callbacks=[callback], unit=f"{{{signal.item}}}")


def _observations(source: _Source, field: str, _: CallbackOptions) -> Iterable[Observation]:
    counters = source.read()
    return () if counters is None else (Observation(getattr(counters, field)),)
