"""A ClickHouse server, over its HTTP interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from otelope.store.engine import clause
from otelope.store.errors import CannotOpenError, NoTablesError, StoreError
from otelope.store.server import Host, Server


# The first with `PROJECTION … INDEX … TYPE basic`, by which an id is found.
OLDEST_VERSION = (26, 3)

_OK = 200
_CONNECT_SECONDS = 5.0
# What the network may add to what the server was given.
_SLACK_SECONDS = 5.0
_KEPT_CONNECTIONS = 16
# https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
_UNKNOWN_TABLE, _UNKNOWN_DATABASE, _TIMEOUT_EXCEEDED = 60, 81, 159
_UNKNOWN_USER, _WRONG_PASSWORD, _AUTHENTICATION_FAILED = 192, 193, 516
_ADVICE = {
    164: "the profile of {who} must have `readonly` 2 for who asks, 0 for who writes",
    279: "a shard of the cluster does not answer the server that was asked",
    497: "{who} may not do that; grant it, or name another user",
    701: "the server knows no such cluster: name one of its remote_servers",
}
_LONGEST_TEXT = 600

_PORTS = "its HTTP interface listens on port 8123, with TLS (https://) on 8443"


class RemoteEngine:
    """
    The engine of a server.

    Connections are kept and used again. What fails on its way is tried on the next host, and the
    first may be tried twice, as it may have closed a kept connection; inserts too: their token
    makes it safe. Whoever let us wait in vain is asked last from then on.

    Raises:
        CannotOpenError: Nothing answers there, or something that will not do.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._hosts = list(server.hosts)
        headers = {"Content-Type": "application/octet-stream"}
        if server.user or server.password:
            headers["X-ClickHouse-User"] = server.user or "default"
            headers["X-ClickHouse-Key"] = server.password
        if any("\n" in text or "\r" in text for text in headers.values()):
            raise CannotOpenError("The user or the password for ClickHouse holds a line break.")
        self._pool = urllib3.PoolManager(
            maxsize=_KEPT_CONNECTIONS,
            headers={name: value.encode().decode("latin-1") for name, value in headers.items()},
            retries=False,
            **_certificates(server),
        )
        try:
            answer = self._post({"default_format": "TSV"}, b"SELECT version()")
            self._check(answer.decode("utf-8", "replace").strip())
        except CannotOpenError:
            self.close()
            raise
        except StoreError as error:
            self.close()
            raise CannotOpenError(
                f"The ClickHouse server at {server.where} cannot be used: {error}"
            ) from None

    @property
    def where(self) -> str:
        """As `Server.where`."""
        return self._server.where

    @property
    def database(self) -> str:
        """As `Engine.database`."""
        return self._server.database

    def run(self, statement: str) -> None:
        """As `Engine.run`."""
        self._post({}, statement.encode())

    def read(
        self, statement: str, parameters: Mapping[str, str], form: str = "JSONCompactEachRow"
    ) -> bytes:
        """As `Engine.read`."""
        options = {f"param_{name}": value for name, value in parameters.items()}
        options |= {
            "database": self._server.database,
            "default_format": form,
            # Who gave up waiting leaves no work behind.
            "max_execution_time": str(self._server.timeout),
        }
        return self._post(options, statement.encode())

    def write(
        self,
        statement: str,
        rows: bytes,
        settings: Mapping[str, str | int],
        form: str = "RowBinary",
    ) -> None:
        """As `Engine.write`."""
        query = f"{statement} {clause(settings)} FORMAT {form}"
        self._post({"database": self._server.database, "query": query}, rows)

    def close(self) -> None:
        """As `Engine.close`."""
        self._pool.clear()

    def _post(self, options: Mapping[str, str], body: bytes) -> bytes:
        hosts = list(self._hosts)
        failures: dict[Host, HTTPError] = {}
        for host in [hosts[0], *hosts]:
            try:
                answer = self._pool.request(
                    "POST",
                    f"{self._server.url(host)}?{urlencode(options)}",
                    body=body,
                    timeout=urllib3.Timeout(
                        connect=_CONNECT_SECONDS, read=self._server.timeout + _SLACK_SECONDS
                    ),
                )
            except ReadTimeoutError:
                self._hosts = [*(each for each in hosts if each != host), host]
                raise StoreError(self._too_slow()) from None
            except HTTPError as error:
                failures[host] = error
                continue
            if host != hosts[0]:
                self._hosts = [host, *(each for each in hosts if each != host)]
            if answer.status != _OK:
                raise self._refused(answer, host)
            return answer.data
        reasons = {host: _why(failure) for host, failure in failures.items()}
        if len(set(reasons.values())) == 1:
            raise StoreError(reasons[hosts[0]])
        raise StoreError(
            "; ".join(f"{host.name}:{host.port}: {why}" for host, why in reasons.items())
        )

    def _refused(self, answer: urllib3.BaseHTTPResponse, host: Host) -> StoreError:
        text = " ".join(answer.data.decode("utf-8", "replace").split())[:_LONGEST_TEXT]
        code = int(answer.headers.get("X-ClickHouse-Exception-Code", 0))
        server = self._server
        who = repr(server.user or "default")
        if code in (_AUTHENTICATION_FAILED, _UNKNOWN_USER, _WRONG_PASSWORD):
            return CannotOpenError(
                f"The ClickHouse server at {server.where} does not let {who} in: user or password "
                "is wrong. Give them by --clickhouse-user and OTELOPE_CLICKHOUSE_PASSWORD."
            )
        if code in (_UNKNOWN_DATABASE, _UNKNOWN_TABLE):
            return NoTablesError(server.where)
        if code == _TIMEOUT_EXCEEDED:
            return StoreError(self._too_slow())
        if not code and not text.startswith("Code:"):
            what = f"what answers at {server.url(host)} is not ClickHouse (status {answer.status})"
            return StoreError(f"{what}: {_PORTS}")
        advice = _ADVICE.get(code)
        return StoreError(f"{advice.format(who=who)} ({text})" if advice else text)

    def _check(self, version: str) -> None:
        numbers = version.split(".")[:2]
        if not all(number.isdecimal() for number in numbers):
            raise StoreError(f"what answers is not ClickHouse ({version[:40]!r}): {_PORTS}")
        if tuple(map(int, numbers)) < OLDEST_VERSION:
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise CannotOpenError(
                f"The ClickHouse server at {self._server.where} is {version}: otelope needs "
                f"{oldest} or newer."
            )

    def _too_slow(self) -> str:
        return (
            f"no answer within {self._server.timeout:g} s; wait longer with --clickhouse-timeout"
        )


def _certificates(server: Server) -> dict[str, Any]:
    named = {
        "ca_certs": server.ca_file,
        "cert_file": server.cert_file,
        "key_file": server.key_file,
    }
    given = {name: path for name, path in named.items() if path}
    for path in given.values():
        if not Path(path).is_file():
            raise CannotOpenError(f"There is no file {path} to read certificates from.")
    return given


def _why(failure: HTTPError) -> str:
    # urllib3's own texts name objects by their address.
    cause = failure.__cause__ or failure.__context__
    if isinstance(failure, NameResolutionError):
        return "its name is not known"
    if isinstance(failure, SSLError):
        return (
            f"TLS failed ({failure}): --clickhouse-ca-file names whom to trust, "
            "--clickhouse-cert-file who we are; see whether it is an https:// address"
        )
    if isinstance(failure, NewConnectionError) and isinstance(cause, OSError) and cause.strerror:
        return f"no connection ({cause.strerror}): see that it runs; {_PORTS}"
    if isinstance(failure, ConnectTimeoutError):
        return f"no connection within {_CONNECT_SECONDS:g} s: see that it runs; {_PORTS}"
    return f"the connection broke ({cause or failure}): {_PORTS}"
