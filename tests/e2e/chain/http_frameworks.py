"""
How a service of the chain receives over HTTP, by the name of the web framework.

Each makes an application with one route, whose body it hands on, and each kind has a server.
"""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
import time

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple
from wsgiref.simple_server import WSGIServer, make_server

import uvicorn


Receive = Callable[[bytes], Any]


class Framework(NamedTuple):
    """
    A web framework and a server for its applications.

    Args:
        application: Made of the route's path and of what is called with each body.
        serve: Serves it until the service is stopped, and says where.
        asynchronous: Whether what is called is awaited.
    """

    application: Callable[[str, Receive], Any]
    serve: Callable[[Any, Any], None]
    asynchronous: bool


def starlette(path: str, receive: Receive) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def endpoint(request: Request) -> Response:
        await receive(await request.body())
        return Response(status_code=204)

    return Starlette(routes=[Route(path, endpoint, methods=["POST"])])


def fastapi(path: str, receive: Receive) -> Any:
    import fastapi

    app = fastapi.FastAPI()

    async def endpoint(request: Any) -> None:
        await receive(await request.body())

    # FastAPI looks the annotations up in the module's names.
    endpoint.__annotations__ = {"request": fastapi.Request, "return": None}
    app.post(path, status_code=204)(endpoint)
    return app


def fastapi_blocking(path: str, receive: Receive) -> Any:
    import fastapi

    app = fastapi.FastAPI()

    async def read(request: Any) -> Any:
        return await request.body()

    read.__annotations__ = {"request": fastapi.Request}

    @app.post(path, status_code=204)
    def endpoint(body=fastapi.Depends(read)):  # type: ignore[no-untyped-def]  # noqa: B008 - FastAPI's form
        receive(body)

    return app


def litestar(path: str, receive: Receive) -> Any:
    from litestar import Litestar, Request, post

    async def endpoint(request: Any) -> None:
        await receive(await request.body())

    endpoint.__annotations__ = {"request": Request, "return": None}
    return Litestar([post(path)(endpoint)], openapi_config=None, logging_config=None)


def quart(path: str, receive: Receive) -> Any:
    import quart

    app = quart.Quart("shop")

    @app.post(path)
    async def view() -> Any:
        await receive(await quart.request.get_data())
        return "", 204

    return app


def falcon_asgi(path: str, receive: Receive) -> Any:
    import falcon.asgi

    class Resource:
        async def on_post(self, request: Any, _: Any) -> None:
            await receive(await request.stream.read())

    app = falcon.asgi.App()
    app.add_route(path, Resource())
    return app


def falcon(path: str, receive: Receive) -> Any:
    import falcon

    class Resource:
        def on_post(self, request: Any, _: Any) -> None:
            receive(request.bounded_stream.read())

    app = falcon.App()
    app.add_route(path, Resource())
    return app


def flask(path: str, receive: Receive) -> Any:
    import flask

    app = flask.Flask("shop")

    @app.post(path)
    def view() -> Any:
        receive(flask.request.get_data())
        return "", 204

    return app


def bottle(path: str, receive: Receive) -> Any:
    import bottle

    app = bottle.Bottle()

    @app.post(path)
    def view() -> str:
        receive(bottle.request.body.read())
        return ""

    return app


def pyramid(path: str, receive: Receive) -> Any:
    from pyramid.config import Configurator
    from pyramid.response import Response

    def view(request: Any) -> Any:
        receive(request.body)
        return Response(status=204)

    with Configurator() as made:
        made.add_route("inbox", path)
        made.add_view(view, route_name="inbox")
    return made.make_wsgi_app()


def django(path: str, receive: Receive) -> Any:
    _set_up_django()
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse

    def view(request: Any) -> Any:
        receive(request.body)
        return HttpResponse(status=204)

    _route(path, view)
    return WSGIHandler()


def django_asgi(path: str, receive: Receive) -> Any:
    _set_up_django()
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpResponse

    async def view(request: Any) -> Any:
        await receive(request.body)
        return HttpResponse(status=204)

    _route(path, view)
    return ASGIHandler()


def rest_framework(path: str, receive: Receive) -> Any:
    _set_up_django()
    from django.core.handlers.wsgi import WSGIHandler
    from rest_framework.decorators import api_view
    from rest_framework.response import Response

    @api_view(["POST"])
    def view(request: Any) -> Any:
        # It has read and parsed the body; the view may not ask for that again.
        receive(json.dumps(request.data).encode())
        return Response(status=204)

    _route(path, view)
    return WSGIHandler()


class _Urls:
    """What ROOT_URLCONF may be: anything that has patterns and a hash."""

    urlpatterns: ClassVar[list[Any]] = []


def _set_up_django() -> None:
    import django

    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="none",
        ROOT_URLCONF=_Urls,
        REST_FRAMEWORK={"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []},
    )
    django.setup()


def _route(path: str, view: Any) -> None:
    from django.urls import path as route

    _Urls.urlpatterns.append(route(path[1:], view))


def sanic(path: str, receive: Receive) -> Any:
    import sanic

    app = sanic.Sanic("shop", configure_logging=False)

    async def endpoint(request: Any) -> Any:
        await receive(request.body)
        return sanic.empty()

    app.add_route(endpoint, path, ["POST"])
    return app


def aiohttp(path: str, receive: Receive) -> Any:
    from aiohttp import web

    async def endpoint(request: Any) -> Any:
        await receive(await request.read())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post(path, endpoint)
    return app


def tornado(path: str, receive: Receive) -> Any:
    import tornado.web

    class Inbox(tornado.web.RequestHandler):
        async def post(self) -> None:
            await receive(self.request.body)
            self.set_status(204)

    return tornado.web.Application([(path, Inbox)])


def by_uvicorn(work: Any, app: Any) -> None:
    uvicorn.run(app, port=0, lifespan="off")


def in_threads(work: Any, app: Any) -> None:
    class Server(socketserver.ThreadingMixIn, WSGIServer):
        pass

    with make_server("127.0.0.1", 0, app, Server) as server:
        print(f"running on http://127.0.0.1:{server.server_port}", flush=True)
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        while not work.stopped:
            time.sleep(0.05)
        server.shutdown()
        serving.join()


def by_sanic(work: Any, app: Any) -> None:
    import socket

    async def serve() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        server = await app.create_server(
            sock=listening, access_log=False, return_asyncio_server=True
        )
        await server.startup()
        await server.start_serving()
        await _until_cancelled(listening.getsockname()[1])

    work.run_until_cancelled(serve())


def by_aiohttp(work: Any, app: Any) -> None:
    from aiohttp import web

    async def serve() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            await _until_cancelled(runner.addresses[0][1])
        finally:
            await runner.cleanup()

    work.run_until_cancelled(serve())


def by_tornado(work: Any, app: Any) -> None:
    import tornado.httpserver
    import tornado.netutil

    async def serve() -> None:
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(app)
        server.add_sockets(sockets)
        await _until_cancelled(sockets[0].getsockname()[1])

    work.run_until_cancelled(serve())


async def _until_cancelled(port: int) -> None:
    print(f"running on http://127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


FRAMEWORKS = {
    **{
        made.__name__: Framework(made, by_uvicorn, asynchronous=True)
        for made in (starlette, fastapi, litestar, quart, falcon_asgi, django_asgi)
    },
    "fastapi_blocking": Framework(fastapi_blocking, by_uvicorn, asynchronous=False),
    **{
        made.__name__: Framework(made, in_threads, asynchronous=False)
        for made in (falcon, flask, bottle, pyramid, django, rest_framework)
    },
    "sanic": Framework(sanic, by_sanic, asynchronous=True),
    "aiohttp": Framework(aiohttp, by_aiohttp, asynchronous=True),
    "tornado": Framework(tornado, by_tornado, asynchronous=True),
}
