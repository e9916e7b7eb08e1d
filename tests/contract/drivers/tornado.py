"""Tornado's server, and the ways to read."""

from __future__ import annotations

import asyncio

from contextlib import asynccontextmanager
from functools import partial

import tornado.httpserver
import tornado.netutil
import tornado.web

from otelope.testing import Features, Got
from tests.contract.own import OwnExchange


SERVERS = ("web_server",)
_SERVED = Features("http", nested=True, raises=False, asynchronous=True)
STYLES = {"body": _SERVED, "flush": _SERVED, "parts": _SERVED}


class Driver(OwnExchange):
    def __init__(self, style, server):
        # What is received in parts comes in many of them.
        served = partial(serve, chunk_size=7) if style == "parts" else serve
        super().__init__(STYLES[style], server, style, application, served)


@asynccontextmanager
async def serve(made, chunk_size=None):
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(made, chunk_size=chunk_size)
    server.add_sockets(sockets)
    yield sockets[0].getsockname()[1]
    server.stop()
    await server.close_all_connections()


def application(style, handlers):
    made = {"body": Whole, "flush": Flushed, "parts": InParts}[style]
    return tornado.web.Application(
        [(f"/{channel}", made, {"handler": handler}) for channel, handler in handlers.items()]
    )


class Whole(tornado.web.RequestHandler):
    def initialize(self, handler):
        self.handler = handler

    async def post(self):
        await self.handler(Got(self.request.body, self.request.body, self.request.headers))
        self.set_status(204)

    def log_exception(self, *args):
        pass


class Flushed(Whole):
    async def prepare(self):
        await asyncio.sleep(0)

    async def post(self):
        self.write(b"begun")
        await self.flush()
        await self.handler(Got(self.request.body, self.request.body, self.request.headers))
        self.write(b"done")


@tornado.web.stream_request_body
class InParts(Whole):
    async def prepare(self):
        self.received = []
        await asyncio.sleep(0)

    async def data_received(self, chunk):
        await asyncio.sleep(0)
        self.received.append(chunk)

    async def post(self):
        body = b"".join(self.received)
        await self.handler(Got(body, body, self.request.headers))
        self.set_status(204)
