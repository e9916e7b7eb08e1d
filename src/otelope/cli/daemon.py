"""Questions to a running `otelope up`, over its JSON API."""

from __future__ import annotations

import http.client
import json
import ssl

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from otelope.cli.questions import (
    BadQuestionError,
    Candidates,
    CannotAskError,
    NothingAnswersError,
    Page,
)


_TIMEOUT = 60.0
_OK, _MULTIPLE, _BAD, _NOT_FOUND = 200, 300, 400, 404


class Daemon:
    """
    The daemon behind a URL.

    Raises:
        NothingAnswersError: Nothing listens there.
        CannotAskError: Something listens there that is no `otelope up`.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            self._port = parts.port
        except ValueError as error:
            raise CannotAskError(f"{url!r} cannot be asked: {error}") from None
        if not parts.hostname:
            raise CannotAskError(f"{url!r} names no host: write http://host:4318")
        self.where = url.rstrip("/")
        self._scheme = parts.scheme
        self._host = parts.hostname
        self._path = parts.path.rstrip("/")
        self._connection = self._connect()
        status, answer = self._get("/api/health")
        if isinstance(answer, dict) and "error" in answer:
            self._expected(status, _OK, answer)
        if status != _OK or not isinstance(answer, dict) or "tables" not in answer:
            raise CannotAskError(
                f"what answers at {self.where} is no `otelope up` (HTTP status {status}): name "
                "the right address with --store, or a ClickHouse server as "
                "clickhouse://user:password@host:8123/database"
            )

    def tree(self, name: str) -> dict[str, Any] | Candidates | None:
        """The tree around an envelope."""
        # The nested form of a chain of 500 generations is too deep for a JSON reader.
        status, answer = self._get(f"/api/tree/{quote(name, safe='')}", {"flat": "true"})
        if status == _NOT_FOUND:
            return None
        if status == _MULTIPLE:
            return Candidates(self._expected(status, _MULTIPLE, answer)["candidates"])
        from otelope.store.trees import nest

        return nest(self._expected(status, _OK, answer))

    def find(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The envelopes that satisfy the filters."""
        status, answer = self._get("/api/find", filters)
        found: list[dict[str, Any]] = self._expected(status, _OK, answer)
        return found

    def tail(self, after: str | None, last: int) -> Page:
        """What was stored after a cursor."""
        status, answer = self._get("/api/tail", {"after": after, "last": last})
        return Page(**self._expected(status, _OK, answer))

    def processes(self) -> list[dict[str, Any]]:
        """What each process last said of itself."""
        status, answer = self._get("/api/processes")
        found: list[dict[str, Any]] = self._expected(status, _OK, answer)
        return found

    def contracts(self, since: float, type: str | None) -> list[dict[str, Any]]:  # noqa: A002 - the envelope's word
        """What left since a moment, by type."""
        status, answer = self._get("/api/contracts", {"since": since, "type": type})
        found: list[dict[str, Any]] = self._expected(status, _OK, answer)
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._scheme == "https":
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=_TIMEOUT, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        given = {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in (query or {}).items()
            if value is not None
        }
        target = self._path + path + ("?" + urlencode(given) if given else "")
        try:
            self._connection.request("GET", target, headers={"Accept": "application/json"})
            response = self._connection.getresponse()
            body = response.read()
        except http.client.HTTPException as error:
            self._connection.close()
            raise CannotAskError(
                f"what answers at {self.where} breaks off ({type(error).__name__}): `otelope up` "
                "prints the address of its HTTP port when it starts"
            ) from None
        except OSError as error:
            self._connection.close()
            refused = isinstance(error, ConnectionRefusedError)
            why = "" if refused else f" ({error.strerror or error})"
            raise NothingAnswersError(
                f"nothing answers at {self.where}{why}: start it with `otelope up`, or name "
                "another place with --store"
            ) from None
        try:
            return response.status, json.loads(body)
        except (ValueError, RecursionError):
            return response.status, None

    def _expected(self, status: int, expected: int, answer: Any) -> Any:
        said = answer.get("error") if isinstance(answer, dict) else None
        if status == _BAD and said:
            raise BadQuestionError(said)
        if status != expected or answer is None:
            raise CannotAskError(
                f"`otelope up` at {self.where} cannot answer"
                + (f": {said}" if said else f" (HTTP status {status}): see what it printed")
            )
        return answer
