"""Envelopes in open transactions: told when their connection says how it ended."""

from __future__ import annotations

import sys
import threading
import weakref

from collections.abc import Set as AbstractSet
from typing import Any

from otelope.core.guard import guard
from otelope.core.storer import Storing


_NONE: frozenset[str] = frozenset()
_ROLLED_BACK = "rolled back"
# ROLLBACK TO SAVEPOINT and a name of 63 characters, PostgreSQL's longest.
_LONGEST = 100


class Transactions:
    """
    What is being stored, by connection.

    Attributes:
        open: The transactions that store something now.
    """

    def __init__(self) -> None:
        self.open: set[_Open] = set()
        self._of: weakref.WeakKeyDictionary[Any, _Open] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def begin(self, connection: Any, storing: Storing) -> None:
        """Take in what is stored by this connection until its transaction ends."""
        with self._lock:
            transaction = self._of.get(connection)
            if transaction is None:
                transaction = self._of[connection] = _Open(self.open)
                weakref.finalize(connection, transaction.end, abandoned=True)
        if not transaction.storings:
            transaction.handled_error = sys.exc_info()[1]
            self.open.add(transaction)
        transaction.storings.append(storing)
        transaction.envelope_ids.update(storing.envelope_ids)

    def pending(self, connection: Any) -> AbstractSet[str]:
        """The ids of the envelopes whose transaction on this connection is open."""
        transaction = self._of.get(connection)
        return transaction.envelope_ids if transaction is not None else _NONE

    def hear(
        self,
        connection: Any,
        statement: str,
        tag: str | None = "",
        error: BaseException | None = None,
    ) -> None:
        """
        Learn what a connection said to its database.

        Args:
            statement: SQL; only the control of transactions is understood.
            tag: What the database says that it did: it answers ROLLBACK to the COMMIT of a
                transaction in which a statement failed. None when it has not answered yet.
            error: What was raised instead of an answer.
        """
        transaction = self._of.get(connection)
        if transaction is None or not transaction.storings:
            return
        # A long statement is none of these.
        words = statement[:_LONGEST].partition(";")[0].upper().split()
        match words:
            case ["SAVEPOINT", *_, name] | ["SAVE", "TRANSACTION", name]:
                if error is None:
                    transaction.savepoints[name] = len(transaction.storings)
            # SQL Server names the savepoint behind TRANSACTION.
            case ["ROLLBACK" | "ABORT", *how, name] if "TO" in how or how == ["TRANSACTION"]:
                if error is None:
                    # One that is not known was set before anything was stored.
                    transaction.roll_back(transaction.savepoints.get(name, 0))
            case ["ROLLBACK" | "ABORT", *_]:
                transaction.roll_back()
            case ["COMMIT" | "END", *_]:
                if error is not None:
                    # Cancelled meanwhile, it may have been committed.
                    known = isinstance(error, Exception)
                    transaction.end(error if known else None, abandoned=not known)
                elif transaction.failed or tag == "ROLLBACK":
                    transaction.roll_back()
                else:
                    transaction.end(abandoned=tag is None)

    def fail(self, connection: Any) -> None:
        """Note that a statement failed, after which the database refuses to commit."""
        transaction = self._of.get(connection)
        if transaction is not None and transaction.storings:
            transaction.failed = True

    def abandon(self, connection: Any) -> None:
        """End what this connection stores: nobody said how."""
        transaction = self._of.get(connection)
        if transaction is not None:
            transaction.end(abandoned=True)

    def end_all(self) -> None:
        """End what is still open, when the process ends."""
        for transaction in list(self.open):
            transaction.end(abandoned=True)

    def forget(self) -> None:
        """Leave what is open to the process that this one was forked from, and its lock."""
        self._lock = threading.Lock()
        for transaction in self.open:
            transaction.storings.clear()
            transaction.envelope_ids.clear()
        self.open.clear()


class _Open:
    """One connection's transaction; knows nothing of the connection, so that it can be freed."""

    __slots__ = ("_among", "envelope_ids", "failed", "handled_error", "savepoints", "storings")

    def __init__(self, among: set[_Open]) -> None:
        self._among = among
        self.storings: list[Storing] = []
        self.envelope_ids: set[str] = set()
        self.savepoints: dict[str, int] = {}
        self.failed = False
        self.handled_error: BaseException | None = None

    def roll_back(self, savepoint: int = 0) -> None:
        """End what was stored since; the cause is what is being handled where it is said."""
        error = sys.exc_info()[1]
        fresh = error is not self.handled_error and not isinstance(error, GeneratorExit)
        self.end(error if fresh else None, _ROLLED_BACK, since=savepoint)

    def end(
        self,
        error: BaseException | None = None,
        error_type: str | None = None,
        *,
        since: int = 0,
        abandoned: bool = False,
    ) -> None:
        ended = self.storings[since:]
        del self.storings[since:]
        self.failed = False
        if not self.storings:
            self._among.discard(self)
            self.savepoints.clear()
            self.handled_error = None
        with guard:
            for storing in ended:
                self.envelope_ids.difference_update(storing.envelope_ids)
                storing.end(error, error_type, abandoned=abandoned)
