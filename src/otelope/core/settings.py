"""Settings of the in-process half: the environment, read once and frozen."""

from __future__ import annotations

import logging
import os

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args


Traces = Literal["tree", "links", "join"]
Contracts = Literal["report", "strict"]
Lane = Literal["compat", "fast"]
Durable = Literal["on-failure", "write-ahead"]

_CHOICES = {
    "traces": get_args(Traces),
    "contracts": get_args(Contracts),
    "lane": get_args(Lane),
    "durable": get_args(Durable),
}

_logger = logging.getLogger("otelope")


def _setting(default: Any, env: str, text: str) -> Any:  # as `field`, whose type is its default's
    return field(default=default, metadata={"env": env, "text": text})


@dataclass(frozen=True)
class Settings:
    """
    How the in-process half behaves.

    Where records go is OpenTelemetry's own to say: ``OTEL_EXPORTER_OTLP_*``.
    A value that cannot be read is reported once and its default used: a typing error in the
    environment must not stop the host.
    """

    traces: Traces = _setting(
        "tree",
        "OTELOPE_TRACES",
        "`tree`: a chain is one trace; `links`: every envelope has a trace of its own, tied by "
        "links; `join`: an envelope joins the ambient or propagated trace.",
    )
    lane: Lane = _setting(
        "compat",
        "OTELOPE_LANE",
        "`compat`: spans are made by the application's TracerProvider; `fast`: by otelope itself, "
        "and exported beside the records, unseen by the provider's processors.",
    )
    fields: tuple[tuple[str, str], ...] = _setting(
        (),
        "OTELOPE_FIELDS",
        "Other names of the envelope's fields on the wire: `id=messageId,parentId=causationId`.",
    )
    commands: tuple[str, ...] = _setting(
        (), "OTELOPE_COMMANDS", "Types that are commands, as shell patterns: `*Command,Place*`."
    )
    events: tuple[str, ...] = _setting(
        (), "OTELOPE_EVENTS", "Types that are events, as shell patterns: `*Event,*Happened`."
    )
    new_trace_after: float = _setting(
        3600.0,
        "OTELOPE_NEW_TRACE_AFTER",
        "Seconds after which the child of an older parent starts a new trace, linked to the old.",
    )
    contracts: Contracts = _setting(
        "report",
        "OTELOPE_CONTRACTS",
        "Fields beyond a contract that leave are reported; `strict`, for tests, raises "
        "`otelope.ContractError` instead of sending them.",
    )
    max_body_bytes: int = _setting(
        1_048_576, "OTELOPE_MAX_BODY_BYTES", "Larger bodies are passed on without being looked at."
    )
    queue_bytes: int = _setting(
        67_108_864,
        "OTELOPE_QUEUE_BYTES",
        "Memory for records that wait to be exported, and in the fast lane as much for spans; "
        "beyond it new ones are dropped and counted.",
    )
    export_interval: float = _setting(
        1.0,
        "OTELOPE_EXPORT_INTERVAL",
        "Seconds a record or span waits at most for a batch to fill.",
    )
    spool_dir: str = _setting(
        "",
        "OTELOPE_SPOOL_DIR",
        "Directory on disk for what cannot be delivered; processes may share it, and one that "
        "starts delivers what others left. Unset: it waits in memory.",
    )
    spool_bytes: int = _setting(
        1_073_741_824,
        "OTELOPE_SPOOL_BYTES",
        "What `OTELOPE_SPOOL_DIR` may take for records, and in the fast lane as much for spans; "
        "beyond it they wait in memory.",
    )
    durable: Durable = _setting(
        "on-failure",
        "OTELOPE_DURABLE",
        "`on-failure`: to `OTELOPE_SPOOL_DIR` goes what cannot be delivered; `write-ahead`: every "
        "record, before the send or the handling that it tells of returns.",
    )
    shutdown_timeout: float = _setting(
        5.0, "OTELOPE_SHUTDOWN_TIMEOUT", "Seconds that the end of the process may wait for export."
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; what is missing or unreadable has its default."""
        read: dict[str, Any] = {}
        for entry in fields(cls):
            name = entry.metadata["env"]
            text = environ.get(name, "").strip()
            if not text:
                continue
            try:
                read[entry.name] = _read(entry.name, text, entry.default)
            except ValueError as error:
                _logger.warning(
                    "%s is ignored, %s is used instead: %s", name, entry.default, error
                )
        return cls(**read)


def _read(name: str, text: str, default: object) -> object:
    if name in _CHOICES:
        if text not in _CHOICES[name]:
            raise ValueError(f"{text!r} is none of {', '.join(_CHOICES[name])}")
        return text
    if name == "fields":
        pairs = [tuple(part.strip() for part in item.split("=")) for item in text.split(",")]
        if any(len(pair) != 2 or not all(pair) for pair in pairs):  # noqa: PLR2004 - name=name
            raise ValueError(f"{text!r} is not of the form field=name,field=name")
        return tuple(pairs)
    if isinstance(default, str):
        return text
    if isinstance(default, tuple):
        return tuple(part for item in text.split(",") if (part := item.strip()))
    if isinstance(default, int):
        return _positive(int(text))
    return _positive(float(text))


def _positive(number: float) -> float:
    if not 0 < number < float("inf"):
        raise ValueError(f"{number} is not a positive number")
    return number
