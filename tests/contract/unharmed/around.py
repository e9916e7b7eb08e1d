"""What stands around handlers: WebSockets, background tasks, mounted applications, lifespans."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
import warnings

from contextlib import asynccontextmanager

import bottle
import falcon.asgi
import flask
import litestar
import litestar.background_tasks
import quart
import sanic
import tornado.web
import tornado.websocket

from aiohttp import web
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.contract.unharmed.endpoints import RefusedError
from tests.contract.unharmed.watching import Log
from tests.service import current


with warnings.catch_warnings():
    # The lowest version's own quarrel with the pydantic of today.
    warnings.simplefilter("ignore", DeprecationWarning)
    import fastapi

GOING_AWAY = 3001


class Around:
    """
    What an application does there, whatever its framework.

    Attributes:
        handled: What is handled, by otelope's word, while each message of a WebSocket is.
    """

    def __init__(self):
        self.log = Log()
        self.handled = []

    async def talk(self, receive, send, close):
        """Answer each message with itself, until one says otherwise."""
        with self.log.running("talk"):
            self.log.note("talk begins")
            while await self.answer(await receive(), send, close):
                pass

    async def answer(self, message, send, close):
        """Answer one; whether to go on."""
        self.log.note("message", message)
        self.handled.append(current())
        word = message if isinstance(message, str) else message.decode("latin-1")
        if "RefuseOrder" in word:
            raise RefusedError("out of stock")
        await (close(GOING_AWAY) if word == "bye" else send(message))
        return word != "bye"

    async def work(self):
        """What no answer waits for."""
        await self.log.released()
        self.log.note("worked")

    @contextlib.contextmanager
    def living(self):
        self.log.note("startup")
        yield
        self.log.note("shutdown")


def starlette(around):
    async def background(request: Request):
        around.log.note("body", await request.body())
        return Response(b"accepted", 202, background=BackgroundTask(around.work))

    async def mounted(request: Request):
        around.log.note("body", await request.body())
        around.log.note("below", request.url.path, request.path_params)
        around.log.note("state", request.state.stock)
        return Response(b"below")

    shop = Starlette(routes=[Route("/orders/{order}", mounted, methods=["POST"])])
    return Starlette(
        routes=[
            Route("/background", background, methods=["POST"]),
            Mount("/shops/{shop}", shop),
            WebSocketRoute("/text", _starlette_talk(around, "text")),
            WebSocketRoute("/bytes", _starlette_talk(around, "bytes")),
        ],
        lifespan=_lifespan(around),
    )


def _lifespan(around):
    @asynccontextmanager
    async def lifespan(app):
        with around.living():
            yield {"stock": 3}

    return lifespan


def _starlette_talk(around, kind):
    async def talk(websocket: WebSocket):
        await websocket.accept()
        receive = getattr(websocket, f"receive_{kind}")
        await around.talk(receive, getattr(websocket, f"send_{kind}"), websocket.close)

    return talk


def fastapi_application(around):
    made, shop = fastapi.FastAPI(lifespan=_lifespan(around)), fastapi.FastAPI()

    async def background(request, tasks):
        around.log.note("body", await request.body())
        tasks.add_task(around.work)
        return Response(b"accepted", 202)

    async def mounted(request, order):
        around.log.note("body", await request.body())
        around.log.note("below", request.url.path, order)
        around.log.note("state", request.state.stock)
        return Response(b"below")

    # FastAPI looks the annotations up in the module's names.
    background.__annotations__ = {"request": Request, "tasks": fastapi.BackgroundTasks}
    mounted.__annotations__ = {"request": Request, "order": int}
    made.post("/background")(background)
    shop.post("/orders/{order}")(mounted)
    made.mount("/shops/7", shop)
    made.websocket("/text")(_starlette_talk(around, "text"))
    made.websocket("/bytes")(_starlette_talk(around, "bytes"))
    return made


def litestar_application(around):
    async def background(request: litestar.Request) -> litestar.Response:
        around.log.note("body", await request.body())
        task = litestar.background_tasks.BackgroundTask(around.work)
        return litestar.Response(b"accepted", background=task)

    def talk(kind):
        async def talking(socket: litestar.WebSocket) -> None:
            await socket.accept()
            receive = getattr(socket, f"receive_{kind}")
            await around.talk(receive, getattr(socket, f"send_{kind}"), socket.close)

        talking.__annotations__ = {"socket": litestar.WebSocket, "return": None}
        return litestar.websocket(f"/{kind}", name=kind)(talking)

    background.__annotations__ = {"request": litestar.Request, "return": litestar.Response}
    return litestar.Litestar(
        [litestar.post("/background")(background), talk("text"), talk("bytes")],
        lifespan=[_living(around)],
        openapi_config=None,
        logging_config=None,
    )


def _living(around):
    @asynccontextmanager
    async def lifespan(app):
        with around.living():
            yield

    return lifespan


def quart_application(around):
    made = quart.Quart("shop")

    @made.while_serving
    async def lifespan():
        with around.living():
            yield

    @made.post("/background")
    async def background():
        around.log.note("body", await quart.request.get_data())
        made.add_background_task(around.work)
        return b"accepted", 202

    async def talk():
        socket = quart.websocket

        async def close(code):
            await socket.close(code, "")

        await socket.accept()
        await around.talk(socket.receive, socket.send, close)

    made.add_websocket("/text", "text", talk)
    made.add_websocket("/bytes", "bytes", talk)
    return made


def falcon_application(around):
    class Living:
        async def process_startup(self, scope, event):
            self.living = around.living()
            self.living.__enter__()

        async def process_shutdown(self, scope, event):
            self.living.__exit__(None, None, None)

    class Background:
        async def on_post(self, request, response):
            around.log.note("body", await request.stream.read())
            response.schedule(around.work)
            response.data = b"accepted"

    class Talk:
        def __init__(self, kind):
            self.kind = kind

        async def on_websocket(self, request, socket):
            await socket.accept()
            data = self.kind == "bytes"
            receive, send = (
                (socket.receive_data, socket.send_data)
                if data
                else (socket.receive_text, socket.send_text)
            )
            await around.talk(receive, send, socket.close)

    made = falcon.asgi.App(middleware=[Living()])
    made.add_route("/background", Background())
    made.add_route("/text", Talk("text"))
    made.add_route("/bytes", Talk("bytes"))
    return made


def aiohttp_application(around):
    tasks = []

    async def background(request):
        around.log.note("body", await request.read())
        tasks.append(asyncio.ensure_future(around.work()))
        return web.Response(body=b"accepted")

    async def mounted(request):
        around.log.note("body", await request.read())
        around.log.note("below", request.path, dict(request.match_info))
        return web.Response(body=b"below")

    async def talk(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)

        async def receive():
            message = await socket.receive()
            if message.type not in (web.WSMsgType.TEXT, web.WSMsgType.BINARY):
                raise ConnectionError(message.type.name)
            return message.data

        async def send(message):
            await (socket.send_str if isinstance(message, str) else socket.send_bytes)(message)

        async def close(code):
            await socket.close(code=code)

        await around.talk(receive, send, close)
        return socket

    async def lifespan(app):
        with around.living():
            yield

    shop = web.Application()
    shop.router.add_post("/orders/{order}", mounted)
    made = web.Application()
    made.cleanup_ctx.append(lifespan)
    made.router.add_post("/background", background)
    made.router.add_get("/text", talk)
    made.router.add_get("/bytes", talk)
    made.add_subapp("/shops/7", shop)
    return made


class _Background(tornado.web.RequestHandler):
    def initialize(self, around):
        self.around = around

    async def post(self):
        self.around.log.note("body", self.request.body)
        self.application.settings["tasks"].append(asyncio.ensure_future(self.around.work()))
        self.write(b"accepted")


class _Talk(tornado.websocket.WebSocketHandler):
    def initialize(self, around):
        self.around = around

    def open(self):
        self.around.log.note("talk begins")

    async def on_message(self, message):
        async def send(message):
            await self.write_message(message, binary=isinstance(message, bytes))

        async def close(code):
            self.close(code)

        try:
            await self.around.answer(message, send, close)
        except RefusedError:
            # Tornado itself would let the client wait.
            self.close(1011)

    def on_close(self):
        self.around.log.note("talk ends", self.close_code)


def tornado_application(around):
    handlers = [("/background", _Background), ("/text", _Talk), ("/bytes", _Talk)]
    return tornado.web.Application(
        [(path, handler, {"around": around}) for path, handler in handlers], tasks=[]
    )


def sanic_application(around):
    tasks = []
    made = sanic.Sanic(f"shop{uuid.uuid4().hex}", configure_logging=False)
    # Of what is too large, by default from 1 MiB on, a client may hear why or not: it still sends.
    made.config.WEBSOCKET_MAX_SIZE = 4 << 20

    @made.post("/background")
    async def background(request):
        around.log.note("body", request.body)
        tasks.append(asyncio.ensure_future(around.work()))
        return sanic.raw(b"accepted")

    async def talk(request, socket):
        async def receive():
            message = await socket.recv()
            if message is None:
                raise ConnectionError("gone")
            return message

        async def close(code):
            await socket.close(code)

        await around.talk(receive, socket.send, close)

    made.add_websocket_route(talk, "/text", name="text")
    made.add_websocket_route(talk, "/bytes", name="bytes")
    return made


def flask_application(around):
    shop = flask.Flask("shop")

    @shop.post("/orders/<int:order>")
    def mounted(order):
        request = flask.request
        around.log.note("body", request.get_data())
        around.log.note("below", request.path, order, request.environ["SCRIPT_NAME"])
        return b"below"

    return DispatcherMiddleware(flask.Flask("site"), {"/shops/7": shop})


def bottle_application(around):
    shop, made = bottle.Bottle(), bottle.Bottle()

    @shop.post("/orders/<order:int>")
    def mounted(order):
        request = bottle.request
        around.log.note("body", request.body.read())
        around.log.note("below", request.path, order, request.environ["SCRIPT_NAME"])
        return b"below"

    made.mount("/shops/7/", shop)
    return made
