"""Questions to a store that this process opens itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from otelope.cli.questions import BadQuestionError, Candidates, CannotAskError, Page
from otelope.store import CannotOpenError, Server, StoreError, open_store, questions
from otelope.store.contracts import contracts


class Direct:
    """
    A store, as `otelope.store.open_store` takes it.

    Raises:
        CannotAskError: It cannot be opened.
    """

    def __init__(self, store: str | Server) -> None:
        self.where = store.where if isinstance(store, Server) else store
        try:
            self._store = open_store(store)
        except CannotOpenError as error:
            raise CannotAskError(_as_clause(error)) from None

    def tree(self, name: str) -> dict[str, Any] | Candidates | None:
        """The tree around an envelope."""
        with _told():
            found = questions.tree(self._store, name)
        if isinstance(found, questions.Candidates):
            return Candidates(found.candidates)
        return found

    def find(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The envelopes that satisfy the filters."""
        with _told():
            return questions.find(
                self._store, **{key: value for key, value in filters.items() if value is not None}
            )

    def tail(self, after: str | None, last: int) -> Page:
        """What was stored after a cursor."""
        with _told():
            return Page(*questions.tail(self._store, after, last=last))

    def processes(self) -> list[dict[str, Any]]:
        """What each process last said of itself."""
        with _told():
            return questions.processes(self._store)

    def contracts(self, since: float, type: str | None) -> list[dict[str, Any]]:  # noqa: A002 - the envelope's word
        """What left since a moment, by type."""
        with _told():
            return contracts(self._store, since, type or "")

    def close(self) -> None:
        """Close the store and let others open it."""
        self._store.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise CannotAskError(f"the store cannot answer: {error}") from None
    except ValueError as error:
        raise BadQuestionError(str(error)) from None


def _as_clause(error: Exception) -> str:
    return str(error).removesuffix(".")
