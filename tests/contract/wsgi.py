"""A real server of WSGI for the contract: the standard library's, a thread for each request."""

from __future__ import annotations

import socketserver
import threading

from types import SimpleNamespace
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest

from tests.contract.web import LOST, Edge


class Site(Edge):
    """Of WSGI applications; a response passes when its last byte has been sent."""

    def __call__(self, environ, start_response):
        with self.passing():
            if environ["PATH_INFO"].startswith("/bare/"):
                environ["PATH_INFO"] = environ["PATH_INFO"][5:]
                for name in LOST:
                    environ.pop(f"HTTP_{name.upper()}", None)
            answer = self.application(environ, start_response)
            try:
                yield from answer
            finally:
                getattr(answer, "close", lambda: None)()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


class _Threads(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # what an application raises is the application's; clients that went away


class Server:
    """The site on a port of its own, in threads; and its address."""

    def __init__(self) -> None:
        self.site = Site()
        self.server = _Threads(("127.0.0.1", 0), _Quiet)
        self.server.set_app(self.site)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join(20)
        self.server.server_close()


@pytest.fixture(scope="session")
def wsgi_server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def both_servers(web_server, wsgi_server):
    """Of ASGI and of WSGI."""
    return SimpleNamespace(asgi=web_server, wsgi=wsgi_server)
