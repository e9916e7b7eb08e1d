"""Codecs that other distributions add, by entry points of the group ``otelope.codecs``."""

from __future__ import annotations

import functools
import logging
import sys

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from types import TracebackType
from typing import Any

from otelope.codecs.wire import Carrier, Message, identifier
from otelope.model.envelope import Envelope


GROUP = "otelope.codecs"

_logger = logging.getLogger("otelope")


class Plugins:
    """
    The installed codecs, tried in the order of their names.

    They are loaded with the first message, not before. What is broken is reported once and
    skipped: one that cannot be loaded for good, one that fails for that message.
    """

    def __init__(self) -> None:
        self._found = _installed(tuple(sys.path))
        self._codecs: list[_Installed] | None = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def decode(self, message: Message, carrier: Carrier) -> Envelope | None:
        """The envelope that the first of them recognises."""
        if self._codecs is None:
            # Two threads may both load: that is harmless, and needs no lock around foreign code.
            self._codecs = [_Installed(entry) for entry in self._found]
        for codec in self._codecs:
            envelope = codec.decode(message, carrier)
            if envelope is not None:
                return envelope
        return None


@functools.cache  # it reads a file of every distribution: 25 ms for 196 of them
def _installed(_path: tuple[str, ...]) -> list[EntryPoint]:
    """What is installed along this `sys.path`; looked up anew when that is another."""
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


class _Installed:
    def __init__(self, entry: EntryPoint) -> None:
        self._contained = _Contained(entry)
        self._decode: Callable[[Message, Carrier], Any] | None = None
        with self._contained:
            codec = entry.load()
            self._decode = (codec() if isinstance(codec, type) else codec).decode

    def decode(self, message: Message, carrier: Carrier) -> Envelope | None:
        if self._decode is None:
            return None
        with self._contained:
            envelope = self._decode(message, carrier)
            return self._checked(envelope) if envelope is not None else None
        return None

    def _checked(self, envelope: Envelope) -> Envelope:
        """With canonical ids, as all code relies on."""
        own = identifier(envelope.id)
        parent = envelope.parent_id
        checked = identifier(parent) if parent is not None else None
        if own is None or (parent is not None and checked is None):
            raise ValueError("an id is no text of 1 to 256 characters, free of control characters")
        return envelope._replace(id=own, parent_id=checked)


class _Contained:
    """
    The one place here that swallows: what runs in it is foreign code, and the host must go on.

    Each type of exception is reported once. `BaseException` passes: it is the host's.
    """

    def __init__(self, entry: EntryPoint) -> None:
        self._entry = entry
        self._reported: set[type[BaseException]] = set()

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if type(error) not in self._reported:
            self._reported.add(type(error))
            # Without the exception's text, which may quote a message.
            _logger.error(
                "The codec %s (%s) failed with %s; its messages go on to the other codecs. "
                "Mend or uninstall it. It must have a function decode(message, carrier) that "
                "returns an otelope.Envelope or None. Reported once.",
                self._entry.name,
                self._entry.value,
                type(error).__name__,
            )
        return True
