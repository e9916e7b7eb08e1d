"""The places where statements pass through a database library, and what becomes of them there."""

from __future__ import annotations

import re
import time

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

from otelope.core.adapter import Wrapper
from otelope.core.call import Call
from otelope.core.guard import guard
from otelope.core.instrumenter import Instrumenter
from otelope.core.sites.wrapping import Wrapping
from otelope.core.storer import Storing
from otelope.core.telling import Telling
from otelope.model.envelope import Envelope


Row = Mapping[str, Any] | Sequence[Any]

_LEAVES_OUT = re.compile(r"\bON\s+CONFLICT\b|\bOR\s+IGNORE\b|\bINSERT\s+IGNORE\b", re.IGNORECASE)


class Database(NamedTuple):
    """
    What a library knows of its connections.

    Args:
        name: What it calls the database.
        in_transaction: Whether what a connection wrote has still to be committed.
        aborts: Whether a failed statement ends in a transaction that cannot be committed, and
            the library does not notice.
    """

    name: Callable[[Any], str]
    in_transaction: Callable[[Any], bool]
    aborts: Callable[[Any], bool] = lambda _: False


@dataclass(frozen=True)
class Execute:
    """
    A call that executes a statement: one that writes rows, or says what becomes of them.

    The envelopes that an INSERT writes are told of when their transaction ends.

    Args:
        target: ``module:Class.method``.
        database: What the library knows of its connections.
        statement: SQL, as text or bytes: always the same, or that of a call.
        connection: Which executes it; by default, on what the method is called.
        rows: The parameters, a row each; asked for an INSERT only.
        plain: From a parameter to its value, where the library lets values be wrapped.
        written: How many rows were, given the library's answer and the call; negative where it
            does not tell.
        tag: What the database says that it did, as text or bytes; empty where the library does
            not tell, None when the database has not answered yet.
        parameters: The parameters' names in order, for a function without a signature.
    """

    target: str
    database: Database
    statement: str | Callable[[Call], Any]
    connection: Callable[[Call], Any] = lambda call: call.instance
    rows: Callable[[Call], Iterable[Row]] = lambda _: ()
    plain: Callable[[Any], Any] | None = None
    written: Callable[[Any, Call], int] = lambda _, __: -1
    tag: Callable[[Any, Call], Any] = lambda _, __: ""
    parameters: str = ""

    def wrapper(self, wrapping: Wrapping) -> Wrapper:
        def execute(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            execution = self._begin(wrapping, instance, args, kwargs)
            if execution is None:
                return wrapped(*args, **kwargs)
            with execution:
                execution.answer = wrapped(*args, **kwargs)
                return execution.answer

        async def execute_async(wrapped: Wrapper, instance: Any, args: Any, kwargs: Any) -> Any:
            execution = self._begin(wrapping, instance, args, kwargs)
            if execution is None:
                return await wrapped(*args, **kwargs)
            with execution:
                execution.answer = await wrapped(*args, **kwargs)
                return execution.answer

        def execute_generator(
            wrapped: Wrapper, instance: Any, args: Any, kwargs: Any
        ) -> Generator[Any, Any, Any]:
            execution = self._begin(wrapping, instance, args, kwargs)
            if execution is None:
                return (yield from wrapped(*args, **kwargs))
            with execution:
                execution.answer = yield from wrapped(*args, **kwargs)
                return execution.answer

        if wrapping.asynchronous:
            return execute_async
        return execute_generator if wrapping.generator else execute

    def _begin(
        self, wrapping: Wrapping, instance: Any, args: Any, kwargs: Any
    ) -> _Execution | None:
        with guard:
            call = Call(wrapping.parameters, instance, args, kwargs)
            statement = self.statement
            if not isinstance(statement, str):
                statement = _text(statement(call))
            instrumenter = wrapping.instrumenter
            envelopes: list[Envelope] = []
            if _inserts(statement):
                envelopes = instrumenter.envelopes_in(self.rows_of(call))
            if not envelopes and not instrumenter.transactions.open:
                return None
            connection = self.connection(call)
            pending = instrumenter.transactions.pending(connection)
            if envelopes or pending:
                return _Execution(
                    self, instrumenter, call, connection, statement, envelopes, pending
                )
        return None

    def rows_of(self, call: Call) -> Sequence[Row]:
        """The rows of a call, their values plain; none where they are generated."""
        rows = self.rows(call)
        # What is generated can be read once.
        if not isinstance(rows, list | tuple):
            return ()
        if self.plain is None:
            return rows
        return [_plain(row, self.plain) for row in rows if row]


class _Execution:
    """A statement on its way that writes envelopes, or comes after one that did."""

    def __init__(
        self,
        site: Execute,
        instrumenter: Instrumenter,
        call: Call,
        connection: Any,
        statement: str,
        envelopes: list[Envelope],
        pending: AbstractSet[str],
    ) -> None:
        self._site = site
        self._instrumenter = instrumenter
        self._transactions = instrumenter.transactions
        self._call = call
        self._connection = connection
        self._statement = statement
        self._ids = [envelope.id for envelope in envelopes]
        # An envelope may also stand in another table, such as an outbox.
        self._envelopes = [envelope for envelope in envelopes if envelope.id not in pending]
        self._started_ns = time.time_ns()
        self.answer: Any = None

    def __enter__(self) -> None:
        self._telling = Telling(self._ids)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._telling.end()
        with guard:
            if error is None:
                self._succeeded()
            else:
                self._failed(error)

    def _succeeded(self) -> None:
        site, connection = self._site, self._connection
        storing = self._stored() if self._envelopes and self._wrote_all() else None
        if storing is not None:
            self._transactions.begin(connection, storing)
            if not site.database.in_transaction(connection):
                self._transactions.hear(connection, "COMMIT")
            return
        tag = site.tag(self.answer, self._call)
        self._transactions.hear(connection, self._statement, tag if tag is None else _text(tag))
        if self._transactions.pending(connection) and not site.database.in_transaction(connection):
            # Its end stood somewhere in a text with more than one statement.
            self._transactions.abandon(connection)

    def _failed(self, error: BaseException) -> None:
        storing = self._stored() if self._envelopes else None
        if storing is not None:
            storing.end(error)
        database = self._site.database
        if database.aborts(self._connection) and database.in_transaction(self._connection):
            self._transactions.fail(self._connection)
        self._transactions.hear(self._connection, self._statement, error=error)

    def _stored(self) -> Storing | None:
        return self._instrumenter.store(
            self._envelopes,
            self._site.database.name(self._connection),
            started_ns=self._started_ns,
            seen=True,
        )

    def _wrote_all(self) -> bool:
        """Whether no row was left out; which of them were, no database says."""
        written = self._site.written(self.answer, self._call)
        if written < 0:
            return _LEAVES_OUT.search(self._statement) is None
        return written >= len(self._site.rows_of(self._call))


def _text(said: Any) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _plain(row: Row, plain: Callable[[Any], Any]) -> Row:
    if isinstance(row, Mapping):
        return {column: plain(value) for column, value in row.items()}
    return [plain(value) for value in row]


def _inserts(statement: str) -> bool:
    if statement[:1].isspace():
        statement = statement.lstrip()
    return statement[:6].upper() == "INSERT"
