"""ClickHouse's HTTP interface before the embedded engine: as much of it as the store uses."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from otelope.store import StoreError
from otelope.store.embedded import EmbeddedEngine


CREDENTIALS = ("user", "pass word")


class Front(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, engine: EmbeddedEngine) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.engine = engine

    @property
    def dsn(self) -> str:
        return f"http://user:pass%20word@127.0.0.1:{self.server_address[1]}/otelope"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def do_POST(self) -> None:
        options = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if (self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]) != CREDENTIALS:
            self._answer(403, b"Code: 516. DB::Exception: Authentication failed", code=516)
            return
        try:
            self._answer(200, self._run(options, body))
        except StoreError as error:
            self._answer(500, str(error).encode())

    def _run(self, options: dict[str, str], body: bytes) -> bytes:
        assert options.get("database", "otelope") == "otelope"
        insert = options.get("query")
        if insert is not None:
            statement, _, settings = insert.rpartition(" FORMAT ")[0].partition(" SETTINGS ")
            assert insert != statement
            pairs = dict(pair.split(" = ") for pair in settings.split(", ")) if settings else {}
            self.server.engine.write(
                statement,
                body,
                {
                    name: value.strip("'") if value.startswith("'") else int(value)
                    for name, value in pairs.items()
                },
                insert.rpartition(" FORMAT ")[2],
            )
            return b""
        parameters = {
            name.removeprefix("param_"): value
            for name, value in options.items()
            if name.startswith("param_")
        }
        statement = body.decode()
        if "default_format" in options:
            return self.server.engine.read(statement, parameters, options["default_format"])
        self.server.engine.run(statement)
        return b""

    def _answer(self, status: int, body: bytes, code: int = 0) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass
