"""How a request reaches a collector, and what its answer means."""

from __future__ import annotations

from typing import Protocol

from otelope.export.protobuf import read_fields


class Unavailable(Exception):  # noqa: N818 - the condition, as HTTP and gRPC name it
    """
    Not now: the same request may succeed later.

    Args:
        reason: For the log; never holds a body.
        retry_after: The seconds that the collector asked to wait, if it did.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(Exception):  # noqa: N818 - as above
    """Never: the same request would be refused again, parts of it might not."""


class Transport(Protocol):
    """
    A way to a collector.

    Used by several threads of one process at once; opened where it is first used, so that no
    connection is ever shared across a fork.
    """

    def send(self, request: bytes) -> int:
        """
        Deliver an ``ExportLogsServiceRequest``, or one of another signal.

        Returns:
            How many of its items the collector says it rejected.

        Raises:
            Unavailable: Try again.
            Refused: Do not.
        """

    def close(self) -> None:
        """Give up what is on its way, and the connection."""


def read_file(path: str | None, variable: str) -> bytes | None:
    """
    A certificate or key; None where none is set.

    Raises:
        Unavailable: It cannot be read now. It may be mounted later.
    """
    if path is None:
        return None
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path as the variable spells it
            return file.read()
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be read ({error.strerror}); OTEL_EXPORTER_OTLP_{variable} names it"
        ) from None


def rejected(response: bytes) -> int:
    """How many items the response to an export says were rejected; 0 when unreadable."""
    try:
        partial = read_fields(response).get(1, b"")
        count = read_fields(partial).get(1, 0) if isinstance(partial, bytes) else 0
    except ValueError:
        return 0
    return count if isinstance(count, int) else 0
