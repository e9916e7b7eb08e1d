"""
ClickHouse's HTTP interface before the engine, chDB: for tests, since no server can be had here.

`python -m tests.e2e.servers.clickhouse_front DIRECTORY` answers as much as the collector's
`clickhouseexporter` (clickhouse-go 2.47) and otelope ask; what it stores stays in the directory.
A program of its own, so that a test can end and start it like the server that it stands for.

`--cluster NAME` makes it one of a cluster of which it is every shard. chDB has no queue for
ON CLUSTER: such a statement runs here. With `--keeper` there is a Keeper, in its memory, and
tables are Replicated, which nothing can be inserted into: chDB does not speak between replicas.
Without it they are not replicated, and take rows.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import ssl
import sys
import threading

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from chdb import ChdbError
from chdb.state.sqlitelike import Connection

from tests.e2e.servers.clickhouse import READY
from tests.e2e.servers.processes import wait_for_end


_INSERT = re.compile(
    r"\s*(?P<insert>INSERT\s.*?)(?:\s+SETTINGS\s+(?P<settings>.*?))?\s+FORMAT\s+(?P<form>\w+)\s*;?\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
_CODE = re.compile(r"Code: (\d+)\.")
_ON_CLUSTER = re.compile(r" ON CLUSTER `([^`]+)`")
_REPLICATED = re.compile(r"Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?")
# Of what stands in the address, what is no setting.
_NO_SETTING = {
    "client_protocol_version", "compress", "database", "decompress", "default_format", "password",
    "query", "role", "session_check", "session_id", "session_timeout", "user",
}  # fmt: skip
_UNKNOWN_DATABASE, _WRONG_PASSWORD, _UNKNOWN_CLUSTER = 81, 516, 701


class Refused(Exception):  # noqa: N818 - as `Missing`
    """What the server says no to, and its code."""

    def __init__(self, code: int, text: str) -> None:
        said = text if text.startswith("Code: ") else f"Code: {code}. DB::Exception: {text}"
        super().__init__(said)
        self.code = code


class Engine:
    """One connection; a statement at a time."""

    def __init__(self, directory: str) -> None:
        self._connection = Connection(directory)
        self._lock = threading.Lock()

    def query(
        self,
        statement: str,
        form: str,
        database: str,
        settings: Mapping[str, str],
        parameters: Mapping[str, str],
    ) -> bytes:
        with self._lock:
            self._use(database)
            try:
                for name, value in settings.items():
                    self._connection.query(f"SET {name} = {_literal(value)}")
                answer = self._connection.query(statement, form, params=dict(parameters))
                return bytes(answer.bytes() or b"")
            except (ChdbError, RuntimeError) as error:
                text = str(error)
                code = _CODE.search(text)
                raise Refused(int(code[1]) if code else 1, text) from None
            finally:
                for name in settings:
                    self._connection.query(f"SET {name} = DEFAULT")

    def _use(self, database: str) -> None:
        name = database.replace("\\", "\\\\").replace("`", "\\`")
        try:
            self._connection.query(f"USE `{name}`")
        except (ChdbError, RuntimeError):
            raise Refused(_UNKNOWN_DATABASE, f"Database {database} does not exist") from None


class Front(ThreadingHTTPServer):
    """
    The server.

    Args:
        directory: Where the engine keeps what it stores.
        port: Where to listen, on loopback; 0 for any.
        users: Names and passwords.
        version: What the server says it is; by default the engine's own.
        cluster: Its name, and whether its tables are Replicated; none by default.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        directory: str,
        port: int,
        users: Mapping[str, str],
        version: str,
        cluster: tuple[str, bool] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.cluster = cluster
        # Inserts do not wait for questions, as they would not before a server.
        self.writer, self.reader = Engine(directory), Engine(directory)
        self.users = users
        found = self.reader.query("SELECT version()", "TSV", "default", {}, {}).decode().strip()
        self.version = version or found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Front

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        options = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        try:
            self._check_user(options)
            self._answer(200, self._run(options, body))
        except Refused as refusal:
            status = 403 if refusal.code == _WRONG_PASSWORD else 500
            self._answer(status, str(refusal).encode(), refusal.code)

    def _run(self, options: Mapping[str, str], body: bytes) -> bytes:
        statement, rows = options.get("query", ""), body
        if not statement:
            statement, rows = body.decode(), b""
        elif not _INSERT.match(statement):
            statement, rows = statement + body.decode(), b""
        statement = self._here(statement)
        database = options.get("database", "default")
        parameters = {
            name.removeprefix("param_"): value
            for name, value in options.items()
            if name.startswith("param_")
        }
        settings = {
            name: value
            for name, value in options.items()
            if name not in _NO_SETTING and not name.startswith("param_")
        }
        if "displayName()" in statement:
            return _hello(self.server.version)
        if statement.strip() == "SELECT version()":
            return self.server.version.encode() + b"\n"
        insert = _INSERT.match(statement)
        if insert and insert["form"].lower() != "values":
            with _readable(rows) as path:
                clause = f"SETTINGS {insert['settings']}" if insert["settings"] else ""
                source = f"FROM INFILE '{path}' {clause} FORMAT {insert['form']}"
                statement = f"{insert['insert']} {source}"
                return self.server.writer.query(statement, "Null", database, settings, parameters)
        form = options.get("default_format", "TSV")
        return self.server.reader.query(statement, form, database, settings, parameters)

    def _here(self, statement: str) -> str:
        """What a statement for the cluster is on this server."""
        named = _ON_CLUSTER.search(statement)
        if statement.startswith("EXPLAIN") or not named:
            return statement
        cluster, replicated = self.server.cluster or ("", False)
        if named[1] != cluster:
            raise Refused(_UNKNOWN_CLUSTER, f"Requested cluster '{named[1]}' not found")
        statement = _ON_CLUSTER.sub("", statement, count=1)
        if replicated:
            return statement
        statement = statement.replace(" replicated_deduplication", " non_replicated_deduplication")
        return _REPLICATED.sub(r"\1(", statement)

    def _check_user(self, options: Mapping[str, str]) -> None:
        user = self._header("X-ClickHouse-User") or options.get("user", "")
        password = self._header("X-ClickHouse-Key") or options.get("password", "")
        scheme, _, credentials = (self.headers["Authorization"] or "").partition(" ")
        if scheme == "Basic":
            user, _, password = base64.b64decode(credentials).decode().partition(":")
        user = user or "default"
        if self.server.users.get(user) != password:
            raise Refused(_WRONG_PASSWORD, f"{user}: Authentication failed")

    def _header(self, name: str) -> str:
        # Python takes headers for Latin-1, ClickHouse takes them as they come.
        return (self.headers[name] or "").encode("latin-1").decode("utf-8", "replace")

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body: bytes, code: int = 0) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        pass


def _hello(version: str) -> bytes:
    """What clickhouse-go asks first, in its Native framing; revision 0 keeps the rest plain."""
    columns = [
        ("displayName()", "String", _text(version)),
        ("version()", "String", _text(version)),
        ("revision()", "UInt32", bytes(4)),
        ("timezone()", "String", _text("UTC")),
    ]
    block_info = b"\x01\x00\x02\xff\xff\xff\xff\x00"
    return (
        block_info
        + bytes((len(columns), 1))
        + b"".join(_text(name) + _text(kind) + b"\0" + value for name, kind, value in columns)
    )


def _text(text: str) -> bytes:
    return bytes((len(text),)) + text.encode()


def _literal(value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return value if re.fullmatch(r"-?\d+(\.\d+)?", value) else f"'{quoted}'"


@contextmanager
def _readable(rows: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("rows")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(rows)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _configuration(cluster: str, shards: int, lost: int, keeper: bool) -> str:
    # By its port it knows itself among the replicas; at port 1 there is nobody.
    replicas = "".join(
        "<shard><internal_replication>true</internal_replication>"
        f"<replica><host>127.0.0.1</host><port>{port}</port></replica></shard>"
        for port in [9000] * shards + [1] * lost
    )
    return (
        "<clickhouse><tcp_port>9000</tcp_port>"
        f"<remote_servers><{cluster}>{replicas}</{cluster}></remote_servers>"
        "<macros><shard>1</shard><replica>one</replica></macros>"
        + ("<zookeeper><implementation>testkeeper</implementation></zookeeper>" if keeper else "")
        + "</clickhouse>"
    )


def _end_with(owner: int) -> None:
    wait_for_end(owner, timeout=None)
    os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--owner", type=int, metavar="PID", help="end when this process has ended")
    parser.add_argument("--user", action="append", default=[], metavar="NAME:PASSWORD")
    parser.add_argument("--version", default="")
    parser.add_argument("--certificate", nargs=2, metavar=("PEM", "KEY"))
    parser.add_argument("--trusted", metavar="PEM", help="who asks must have a certificate of it")
    parser.add_argument("--cluster", default="", metavar="NAME")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--lost-shards", type=int, default=0)
    parser.add_argument("--keeper", action="store_true")
    args = parser.parse_args()
    if args.owner:
        threading.Thread(target=_end_with, args=(args.owner,), daemon=True).start()
    users = dict(each.split(":", 1) for each in args.user) or {"default": ""}
    path, cluster = str(args.directory), None
    if args.cluster:
        configuration = args.directory.with_suffix(".xml")
        configuration.write_text(
            _configuration(args.cluster, args.shards, args.lost_shards, args.keeper)
        )
        path, cluster = f"{path}?config-file={configuration}", (args.cluster, args.keeper)
    front = Front(path, args.port, users, args.version, cluster)
    if args.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*args.certificate)
        if args.trusted:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(args.trusted)
        front.socket = context.wrap_socket(front.socket, server_side=True)
    print(f"{READY}: 127.0.0.1:{front.server_address[1]}", flush=True)
    front.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
