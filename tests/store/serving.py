"""A ClickHouse server, and a relay to stand between it and its client."""

from __future__ import annotations

import http.client
import threading

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from otelope.store import Server
from tests.e2e.servers.clickhouse import ClickHouse, clickhouse
from tests.store.made import make_tables


@contextmanager
def serving(directory: Path, *, tables: bool = True) -> Iterator[ClickHouse]:
    """Run a server on a directory, and make its tables."""
    with clickhouse(directory, user="user", password="pass word") as server:
        if tables:
            make_tables(Server.from_url(server.url))
        yield server


class Relay(ThreadingHTTPServer):
    """
    Passes on what it is asked, and calls back around each insert with its number, from 1 on.

    When a callback raises `ConnectionError` the client gets no answer, nor any later.
    """

    daemon_threads = True

    def __init__(self, dsn: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._to = urlsplit(dsn)
        self.before: Callable[[int], None] = lambda _: None
        self.after: Callable[[int], None] = lambda _: None
        self.inserts = 0
        self.gone = False

    @property
    def dsn(self) -> str:
        place = f"{self._to.username}:{self._to.password}@127.0.0.1:{self.server_address[1]}"
        return self._to._replace(netloc=place).geturl()

    def ask(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        insert = "query=INSERT" in path
        if insert:
            self.inserts += 1
            self.before(self.inserts)
        connection = http.client.HTTPConnection(str(self._to.hostname), self._to.port, timeout=60)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            told = answer.getheader("X-ClickHouse-Exception-Code") or ""
            found = answer.status, told, answer.read()
        finally:
            connection.close()
        if insert:
            self.after(self.inserts)
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else 40 ms for each answer
    server: Relay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {
            name: self.headers[name]
            for name in ("X-ClickHouse-User", "X-ClickHouse-Key")
            if name in self.headers
        }
        try:
            if self.server.gone:
                raise ConnectionResetError
            status, code, answer = self.server.ask(self.path, headers, body)
        except (ConnectionError, http.client.HTTPException):
            self.server.gone = self.close_connection = True
            return
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


@contextmanager
def relay(dsn: str) -> Iterator[Relay]:
    with Relay(dsn) as between:
        thread = threading.Thread(target=between.serve_forever, args=(0.01,))
        thread.start()
        yield between
        between.shutdown()
        thread.join()
