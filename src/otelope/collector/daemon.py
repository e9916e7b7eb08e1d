"""`otelope up`, put together: store, writer, both OTLP servers; started and stopped in order."""

from __future__ import annotations

import asyncio
import socket
import threading

from collections.abc import Sequence
from typing import NamedTuple

import uvicorn

from starlette.routing import BaseRoute

from otelope.collector import grpc
from otelope.collector.batching import GroupCommit
from otelope.collector.http import application
from otelope.store import Server, open_store


MAX_REQUEST_BYTES = 20 * 1024 * 1024

# Requests that are still open when the daemon is told to stop.
_GRACE_SECONDS = 5


class Address(NamedTuple):
    """Where the daemon listens."""

    host: str
    grpc_port: int
    http_port: int


class CannotListenError(Exception):
    """A port is taken or an address not this machine's; the message says what to do."""


class Daemon:
    """
    A running collector.

    Args:
        store: As `otelope.store.open_store` takes it.
        wanted: Where to listen; port 0 takes any that is free.
        pages: Served beside what the collector answers.

    Attributes:
        address: Where it listens.
        store: Open until `stop`.

    Raises:
        CannotOpenError, CannotListenError: Nothing is left running.
    """

    def __init__(
        self, store: str | Server, wanted: Address, pages: Sequence[BaseRoute] = ()
    ) -> None:
        # The sockets come first: they are the cheapest to find wanting (the engine takes 0.3 s).
        # gRPC binds its own; trying before keeps its C core from writing to stderr.
        _listen(wanted.host, wanted.grpc_port, "--grpc-port").close()
        listener = _listen(wanted.host, wanted.http_port, "--http-port")
        try:
            self.store = open_store(store)
        except BaseException:
            listener.close()
            raise
        self._commit = GroupCommit(self.store)
        try:
            self._grpc, grpc_port = grpc.serve(
                self._commit, wanted.host, wanted.grpc_port, MAX_REQUEST_BYTES
            )
        except grpc.PortTakenError:
            listener.close()
            self._commit.close()
            self.store.close()
            raise _cannot_listen(wanted.host, wanted.grpc_port, "--grpc-port") from None
        self.address = Address(wanted.host, grpc_port, listener.getsockname()[1])
        self._http = uvicorn.Server(
            uvicorn.Config(
                application(self.store, self._commit, MAX_REQUEST_BYTES, pages),
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._thread = threading.Thread(
            target=self._serve_http, args=(listener,), name="otelope-http"
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting, commit and acknowledge what has arrived, close the store."""
        stopped = self._grpc.stop(_GRACE_SECONDS)
        self._http.should_exit = True
        stopped.wait()
        self._thread.join()
        self._commit.close()
        self.store.close()

    def _serve_http(self, listener: socket.socket) -> None:
        # Server.serve installs signal handlers in the main thread only; this is none.
        asyncio.run(self._http.serve(sockets=[listener]))


def _listen(host: str, port: int, option: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError:
        raise _cannot_listen(host, port, option) from None
    try:
        # A port in TIME_WAIT is free; one that somebody listens on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise _cannot_listen(host, port, option) from None
    return listener


def _cannot_listen(host: str, port: int, option: str) -> CannotListenError:
    return CannotListenError(
        f"Port {port} of {host} cannot be listened on: something else (another otelope up, a "
        f"collector?) has it, or the address is not this machine's. Stop that, or choose "
        f"another port with {option} (0 takes any that is free)."
    )
