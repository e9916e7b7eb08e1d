"""A real HTTP server for the contract, and applications that read requests in every way."""

from __future__ import annotations

import contextlib
import socket
import threading
import warnings

from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from starlette import applications
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from otelope.testing import Got, run_inline


with warnings.catch_warnings():
    # The lowest version's own quarrel with the pydantic of today.
    warnings.simplefilter("ignore", DeprecationWarning)
    import fastapi

NOWHERE = "http://127.0.0.1:9"  # the discard service, which nobody runs


LOST = ("traceparent", "tracestate")  # of a request for what is below /bare


class Edge:
    """The edge of a site: what passes it is handed to the application of the day."""

    def __init__(self) -> None:
        self.application = None
        self.between = lambda: None
        self.passed = 0
        self._running = 0
        self._changed = threading.Condition()

    def wait(self, passed: int) -> None:
        """Until so many requests have been served, and none is being served."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.passed >= passed and not self._running, 10):
                raise TimeoutError(f"{self.passed} of {passed} requests have been served")

    @contextlib.contextmanager
    def passing(self):
        with self._changed:
            self._running += 1
        try:
            self.between()
            yield
        finally:
            with self._changed:
                self.passed += 1
                self._running -= 1
                self._changed.notify_all()


class Site(Edge):
    """Of ASGI applications."""

    async def __call__(self, scope, receive, send):
        with self.passing():
            if scope["path"].startswith("/bare/"):
                headers = [pair for pair in scope["headers"] if pair[0].decode() not in LOST]
                scope = {**scope, "path": scope["path"][5:], "headers": headers}
            await self.application(scope, receive, send)


class Server:
    """The site on a port of its own, in a thread; and its address."""

    def __init__(self) -> None:
        self.site = Site()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = uvicorn.Server(
            uvicorn.Config(self.site, log_config=None, log_level="critical", lifespan="off")
        )
        self.thread = threading.Thread(target=self.server.run, args=[[self.socket]])

    def start(self) -> None:
        self.thread.start()
        with httpx.Client(verify=False, trust_env=False) as client:  # noqa: S501 - no TLS here
            self.site.application = applications.Starlette()
            client.get(self.address)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.socket.close()


@pytest.fixture(scope="session")
def web_server() -> Iterator[Server]:
    server = Server()
    server.start()
    yield server
    server.stop()


def application(style, handlers):
    """An application that reads requests in one style and hands them to a channel's handler."""
    prefix = "/shop" if style == "mounted" else ""
    routes = [
        Route(f"/{channel}", _endpoint(style, handler), methods=["POST"])
        for channel, handler in handlers.items()
    ]
    if style.startswith("fastapi"):
        made = fastapi.FastAPI()
        for channel, handler in handlers.items():
            made.post(f"/{channel}")(_fastapi_endpoint(style, handler))
        return made
    if style == "mounted":
        routes = [Mount(prefix, applications.Starlette(routes=routes))]
    middleware = [Middleware(BaseHTTPMiddleware, dispatch=_pass)] if "middleware" in style else []
    return applications.Starlette(routes=routes, middleware=middleware)


async def _pass(request, call_next):
    return await call_next(request)


def _endpoint(style, handler):
    async def endpoint(request: Request) -> Response:
        if style == "json":
            await request.json()
        if style == "stream":
            body = b"".join([chunk async for chunk in request.stream()])
        else:
            body = await request.body()
        got = Got(body, body, request.headers)
        if style == "background":
            return Response(status_code=202, background=BackgroundTask(handler, got))
        await handler(got)
        return Response(status_code=204)

    return endpoint


def _fastapi_endpoint(style, handler):
    async def received(request: Request) -> Got:
        body = await request.body()
        return Got(body, body, request.headers)

    if style == "fastapi":

        async def endpoint(order: dict, got: Got = fastapi.Depends(received)) -> None:  # noqa: B008 - FastAPI's form
            await handler(got)

    else:

        def endpoint(order: dict, got: Got = fastapi.Depends(received)) -> None:  # noqa: B008 - FastAPI's form
            run_inline(handler(got))

    # FastAPI looks the annotations up in the module's names.
    endpoint.__annotations__ = {"order": dict, "return": None}
    return endpoint
