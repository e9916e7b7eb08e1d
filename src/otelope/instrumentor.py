"""Puts the in-process half together, for `opentelemetry-instrument` and for `instrument()`."""

from __future__ import annotations

import functools
import importlib
import logging
import os
import threading

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import wrapt

from otelope.adapters.table import TABLE, Row
from otelope.core.guard import guard
from otelope.core.lineage import give_lineage


_logger = logging.getLogger("otelope")
_BY_NAME = {row.entry_point.removeprefix("otelope_"): row for row in TABLE}


class Instrumentation:
    """
    The in-process half of otelope, from the first import of a supported library on.

    Until then it costs an import hook per row: nothing else is loaded.

    Args:
        tracer_provider: Whose spans to make; None follows OpenTelemetry's global one.
        recorder: Takes the records; None exports them as ``OTEL_EXPORTER_OTLP_*`` says.
        span_recorder: Takes the spans of the fast lane; None likewise.
    """

    def __init__(
        self, tracer_provider: Any = None, recorder: Any = None, span_recorder: Any = None
    ) -> None:
        self._tracer_provider = tracer_provider
        self._recorder = recorder
        self._span_recorder = span_recorder
        self._lock = threading.RLock()
        self._parts: Any = None
        self.active = True
        self.states: dict[str, str] = {}
        self.adapters: dict[str, Any] = {}

    def enable(self, row: Row) -> None:
        """Instrument a library as soon as it is imported, or now if it is."""
        self.states.setdefault(row.name, "not imported")
        wrapt.register_post_import_hook(lambda _: self._imported(row), row.imports)

    def remove(self) -> None:
        """Take everything away again, and export what is left."""
        self.active = False
        with self._lock:
            if self._parts is not None:
                self._parts.remove()

    @property
    def parts(self) -> Any:
        """The parts, put together at first use (`otelope.core.parts.Parts`)."""
        with self._lock:
            if self._parts is None:
                # Not before it is needed: start-up costs the host 20 ms otherwise.
                assembly = importlib.import_module("otelope.assembly")
                self._parts = assembly.Parts(
                    self._tracer_provider, self._recorder, self.status, self._span_recorder
                )
            return self._parts

    def status(self) -> dict[str, Any]:
        """What `otelope doctor` tells of this process."""
        return {"instrumented": dict(self.states), "internal_errors": guard.total}

    def _imported(self, row: Row) -> None:
        with guard:
            if not self.active or row.name in self.adapters:
                return
            problem = unsupported(row)
            if problem is not None:
                self.states[row.name] = problem
                _logger.info("%s", problem)
                return
            adapter = importlib.import_module(row.module).ADAPTER
            self.adapters[row.name] = adapter
            problems = self.parts.put(adapter)
            for text in problems:
                _logger.info("otelope does not instrument a part of %s: %s", row.library, text)
            self.states[row.name] = "; ".join(["instrumented", *problems])


@functools.cache  # 0.8 ms; a process that is instrumented again and again has the same libraries
def unsupported(row: Row) -> str | None:
    """Why the installed version of a row's library is not instrumented; None when it is."""
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - 10 ms, and only when needed

    if not row.versions:
        return None
    try:
        installed = version(row.library)
    except PackageNotFoundError:
        return f"{row.library} is not installed as a distribution"
    if SpecifierSet(row.versions).contains(installed, prereleases=True):
        return None
    return f"{row.library} {installed} is not instrumented: otelope supports {row.requires}"


_active: Instrumentation | None = None
_lock = threading.Lock()


def active() -> Instrumentation | None:
    """The process's instrumentation; None before `instrument` and after `uninstrument`."""
    return _active


def instrument(
    *, tracer_provider: Any = None, recorder: Any = None, span_recorder: Any = None
) -> None:
    """
    Instrument every supported library that is or will be imported in this process.

    Under ``opentelemetry-instrument`` this has happened already. A second call does nothing.

    Args:
        tracer_provider: Whose spans to make; None follows OpenTelemetry's global one.
        recorder: Takes the records, `otelope.core.records.Recorder`; None exports them as
            ``OTEL_EXPORTER_OTLP_*`` says.
        span_recorder: Takes the spans of the fast lane, each an `otelope.core.spans.OwnSpan`, when
            they end; None likewise.
    """
    _enable(TABLE, tracer_provider, recorder, span_recorder)


def uninstrument() -> None:
    """Take all wrappers away; the libraries' own objects are back. Exports what is left."""
    global _active
    with _lock:
        removed, _active = _active, None
    if removed is not None:
        removed.remove()


def prepare() -> None:
    """
    Come first: the entry point ``opentelemetry_pre_instrument``.

    The provider is set, and no other instrumentation has asked it for a tracer yet: the traces
    that start in this process have a lineage. Nor has another imported a library: its classes in
    C are still replaceable.
    """
    with guard:
        if not _switched_off():
            _give_lineage()
            disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
            names = {name.strip() for name in disabled}
            if "*" not in names:
                _enable(row for row in TABLE if row.entry_point not in names)


def _enable(
    rows: Iterable[Row],
    tracer_provider: Any = None,
    recorder: Any = None,
    span_recorder: Any = None,
) -> None:
    global _active  # noqa: PLW0603 - one instrumentation for one process
    with guard:
        if _switched_off():
            return
        with _lock:
            if _active is None:
                _active = Instrumentation(tracer_provider, recorder, span_recorder)
                _give_lineage(tracer_provider)
            instrumentation = _active
        for row in rows:
            if row.name not in instrumentation.states:
                instrumentation.enable(row)


def _switched_off() -> bool:
    return os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _give_lineage(provider: Any = None) -> None:
    from opentelemetry import trace  # noqa: PLC0415 - the host has loaded it, or needs it later

    give_lineage(provider or trace.get_tracer_provider())


class _RowInstrumentor:
    """What the ``opentelemetry_instrumentor`` entry points name: one library's switch."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def instrument(self, **_: Any) -> None:
        _enable([self._row])


def __getattr__(name: str) -> Callable[[], _RowInstrumentor]:
    row = _BY_NAME.get(name)
    if row is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lambda: _RowInstrumentor(row)
