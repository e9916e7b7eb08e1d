"""A ClickHouse server, over its HTTP interface."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading

from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlencode

from otelope.store.engine import clause
from otelope.store.errors import CannotOpenError, StoreError


_TIMEOUT = 30.0
_PORTS = {"http": 8123, "https": 8443}


class RemoteEngine:
    """
    The engine behind ``http://user:password@host:port/database``.

    Connections are kept and used again. What fails on a kept one, which the server may have
    closed meanwhile, is asked again on a new one; inserts too: their token makes it safe.

    Raises:
        CannotOpenError: Nothing answers there.
    """

    def __init__(self, url: SplitResult) -> None:
        self._url = url
        self._where = f"{url.scheme}://{url.hostname}:{url.port or _PORTS[url.scheme]}"
        self._database = url.path.strip("/") or "default"
        self._headers = {"Content-Type": "application/octet-stream"}
        if url.username:
            pair = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        try:
            self.read("SELECT 1", {})
        except StoreError as error:
            self.close()
            raise CannotOpenError(
                f"The ClickHouse server at {self._where} does not answer: {error}"
            ) from None

    def run(self, statement: str) -> None:
        """As `Engine.run`."""
        self._post({}, statement.encode())

    def read(self, statement: str, parameters: Mapping[str, str]) -> bytes:
        """As `Engine.read`."""
        options = {f"param_{name}": value for name, value in parameters.items()}
        options["default_format"] = "JSONCompactEachRow"
        return self._post(options, statement.encode())

    def write(self, statement: str, rows: bytes, settings: Mapping[str, str | int]) -> None:
        """As `Engine.write`."""
        self._post({"query": f"{statement} {clause(settings)} FORMAT RowBinary"}, rows)

    def close(self) -> None:
        """As `Engine.close`."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _post(self, options: Mapping[str, str], body: bytes) -> bytes:
        target = "/?" + urlencode({"database": self._database, **options})
        while True:
            connection, fresh = self._connection()
            try:
                connection.request("POST", target, body, self._headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if fresh:
                    raise StoreError(f"{type(error).__name__}: {error}") from None
                continue
            with self._lock:
                self._idle.append(connection)
            if response.status != http.client.OK:
                text = answer.decode("utf-8", "replace").partition("\n")[0]
                raise StoreError(text or f"status {response.status}")
            return answer

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), False
        host = self._url.hostname or "localhost"
        port = self._url.port or _PORTS[self._url.scheme]
        if self._url.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT, context=context), True
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT), True
