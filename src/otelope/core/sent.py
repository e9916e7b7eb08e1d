"""What producers sent in transactions that are open: told as aborted, when they are."""

from __future__ import annotations

import weakref

from collections import deque
from typing import Any

from otelope.core.sender import Sending


# Of one transaction, its last; some 16 MB, as an envelope is.
MOST = 8192
_ABORTED = "aborted"


class Sent:
    """What was sent in each open transaction, by producer."""

    def __init__(self) -> None:
        self._open: weakref.WeakKeyDictionary[Any, _Transaction] = weakref.WeakKeyDictionary()

    def begin(self, producer: Any) -> None:
        """Note what this producer sends from now on."""
        self._open[producer] = _Transaction()

    def note(self, producer: Any, sending: Sending) -> None:
        """Note what was sent, if in a transaction."""
        if not self._open:
            return
        transaction = self._open.get(producer)
        if transaction is not None:
            transaction.sendings.append(sending)
            transaction.count += 1

    def end(self, producer: Any, *, aborted: bool) -> int:
        """
        Tell what was sent in the producer's transaction as aborted, if it was.

        Returns:
            How many were to be told so, and had not been noted.
        """
        transaction = self._open.pop(producer, None)
        if transaction is None or not aborted:
            return 0
        for sending in transaction.sendings:
            sending.take_back(_ABORTED)
        return transaction.count - len(transaction.sendings)


class _Transaction:
    __slots__ = ("count", "sendings")

    def __init__(self) -> None:
        self.sendings: deque[Sending] = deque(maxlen=MOST)
        self.count = 0
