"""The only place that swallows exceptions: ours, never the host's."""

from __future__ import annotations

import logging
import threading

from collections import Counter
from types import TracebackType

from otelope.model.contracts import ContractError


_logger = logging.getLogger("otelope")


class Guard:
    """
    A context manager around everything of ours that runs in the host's thread.

    An `Exception` of ours is reported once per (place, exception type) and counted; the host goes
    on. `BaseException` passes: it is the host's (cancellation, interrupt). `ContractError` passes:
    the host asked for it. The host's own call never stands inside.

    Args:
        strict: Let our exceptions out. For tests only.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None or self.strict or not isinstance(error, Exception):
            return False
        if isinstance(error, ContractError):
            return False
        self._report(error, traceback)
        return True

    @property
    def total(self) -> int:
        """How many exceptions were swallowed so far."""
        return sum(self.counts.values())

    def _report(self, error: Exception, traceback: TracebackType | None) -> None:
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        place = (
            f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}" if traceback else "?"
        )
        key = f"{type(error).__name__} at {place}"
        with self._lock:
            self.counts[key] += 1
            first = self.counts[key] == 1
        if first:
            # The exception's text is left out: it may quote a message body.
            _logger.error(
                "otelope failed inside itself (%s); the application goes on, with less "
                "telemetry. Reported once.",
                key,
            )


guard = Guard()
