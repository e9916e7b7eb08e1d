"""Each framework's application on a real server, and what every case of the table shows there."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import uvicorn

from werkzeug.serving import make_server

from tests.contract.drivers import sanic, tornado
from tests.contract.own import in_thread
from tests.contract.unharmed import asgi, own, wsgi
from tests.contract.unharmed.cases import head
from tests.contract.unharmed.endpoints import Endpoints
from tests.contract.unharmed.own import STREAMED
from tests.contract.unharmed.watching import Client, Log


ALL = sys.maxsize  # bytes


class Framework(NamedTuple):
    """
    A framework and how its application is served.

    Args:
        make: The application, given the endpoints.
        serve: Serves it, given the log, on the port that its context manager gives.
        ahead: How many bytes of a body it reads before it runs the application.
        whole: Whether it reads all of a body before it runs the endpoints that are not streamed.
        keeps: Whether its server takes more than one request on a connection.
        goes_on: Whether it does so after a body that was not read.
        otherwise: The cases in which what is delivered is not what it is elsewhere.
    """

    make: Callable[[Endpoints], Any]
    serve: Callable[[Any, Log], Any]
    ahead: int = 0
    whole: bool = False
    keeps: bool = True
    goes_on: bool = True
    otherwise: frozenset[str] = frozenset()


class Served:
    """An application while it is served."""

    def __init__(self, framework, log, port):
        self.framework = framework
        self.ahead = framework.ahead
        self.streams = framework.ahead < ALL
        self.keeps = framework.keeps
        self.goes_on = framework.goes_on
        self.log = log
        self.port = port

    def begun(self, path):
        """Until it reads, where it reads before all of the body is there."""
        if path in STREAMED and self.streams:
            self.log.wait_for("part")
        elif self.streams and not self.framework.whole:
            self.log.wait_for(f"{path} begins")
        else:
            self.fence()

    def fence(self):
        """Until the server has seen what other connections have said or closed before."""
        fence(self.port)

    def play(self, case):
        """What it shows."""
        client = Client(self.port)
        try:
            case.play(client, self, case.body)
        finally:
            client.close()
            self.fence()
            self.log.settle()
            notes = self.log.taken()
        return Seen(client.seen(), notes)


def fence(port):
    """Until the server there has answered."""
    client = Client(port)
    client.send(head("nowhere", "Connection: close", length=0))
    client.answer()
    client.close()


class Seen(NamedTuple):
    """What one case shows: the bytes that the client got, and what the application noted."""

    client: bytes
    application: list


@contextlib.contextmanager
def on_werkzeug(application, log):
    """A server of WSGI that understands chunks, a thread for each connection."""

    def edge(environ, start_response):
        with log.reaching_server():
            answer = application(environ, start_response)
            try:
                yield from answer
            finally:
                getattr(answer, "close", lambda: None)()

    server = make_server("127.0.0.1", 0, edge, threaded=True)
    server.log = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


@contextlib.contextmanager
def on_uvicorn(application, log, lifespan="off"):
    async def edge(scope, receive, send):
        # A lifespan lasts.
        lasts = scope["type"] == "lifespan"
        with contextlib.nullcontext() if lasts else log.reaching_server():
            await application(scope, receive, send)

    server = uvicorn.Server(
        uvicorn.Config(
            edge,
            log_config=None,
            log_level="critical",
            lifespan=lifespan,
            # What it else uses of websockets is deprecated there.
            ws="wsproto",
        )
    )
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=[[listening]])
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def by_itself(serve):
    """On the framework's own server."""
    return lambda application, _: in_thread(serve, application)


_UNREAD = ("answer without reading", "100-continue, not read", "early answer to a body held back")
_CHUNKED = ("chunked body once", "chunked body in parts", "exception after chunks")
_PIPELINED = "answer without reading, next request"


def _wsgi(make, *otherwise):
    unseen = frozenset((_PIPELINED, *otherwise))
    return Framework(make, on_werkzeug, keeps=False, goes_on=False, otherwise=unseen)


FRAMEWORKS = {
    "starlette": Framework(asgi.starlette, on_uvicorn),
    "fastapi": Framework(asgi.fastapi_application, on_uvicorn),
    "litestar": Framework(asgi.litestar_application, on_uvicorn),
    "quart": Framework(asgi.quart_application, on_uvicorn),
    # It waits for the first event of the request.
    "falcon ASGI": Framework(
        asgi.falcon_application, on_uvicorn, ahead=1, otherwise=frozenset(_UNREAD[:2])
    ),
    # It reads all of a request before it looks for the view.
    "django ASGI": Framework(
        asgi.django_application, on_uvicorn, ahead=ALL, otherwise=frozenset(_UNREAD)
    ),
    "flask": _wsgi(wsgi.flask_application),
    # What has no declared length is empty, by WSGI's word.
    "falcon": _wsgi(wsgi.falcon_application, *_CHUNKED),
    "django": _wsgi(wsgi.django_application, *_CHUNKED),
    "pyramid": _wsgi(wsgi.pyramid_application),
    "bottle": _wsgi(wsgi.bottle_application),
    "aiohttp": Framework(own.aiohttp_application, by_itself(own.serve_aiohttp)),
    # After a handler that does not receive a body, it takes the next request or not, by chance.
    "tornado": Framework(
        own.tornado_application,
        by_itself(tornado.serve),
        whole=True,
        goes_on=False,
        otherwise=frozenset((_PIPELINED,)),
    ),
    "sanic": Framework(own.sanic_application, by_itself(sanic.serve), whole=True),
    "sanic ASGI": Framework(own.sanic_application, partial(on_uvicorn, lifespan="on"), whole=True),
}


@contextlib.contextmanager
def served(framework):
    endpoints = Endpoints()
    log = endpoints.log
    with log.listening(), framework.serve(framework.make(endpoints), log) as port:
        yield Served(framework, log, port)
