"""Applications of the frameworks with servers of their own."""

from __future__ import annotations

import asyncio
import uuid

from contextlib import aclosing, asynccontextmanager
from types import SimpleNamespace

import aiohttp
import sanic
import tornado.escape
import tornado.web

from aiohttp import web

from tests.contract.unharmed.endpoints import RefusedError


# What is read while it arrives, or answered before: the frameworks read else all of it first.
STREAMED = ("parts", "first", "unread", "spoil", "large")


def aiohttp_application(endpoints):
    @web.middleware
    async def noting(request, handler):
        try:
            return await handler(request)
        except RefusedError as error:
            endpoints.passed(error)
            raise

    def endpoint(name):
        async def answer(request):
            parts = request.content.iter_any
            reading = SimpleNamespace(
                read=request.read, json=request.json, parts=parts, large=parts
            )
            content = await endpoints.run(name, reading)
            if name != "drip":
                return web.Response(body=content)
            streamed = web.StreamResponse()
            await streamed.prepare(request)
            async with aclosing(content):
                async for part in content:
                    await streamed.write(part)
            return streamed

        return answer

    made = web.Application(middlewares=[noting])
    for name in endpoints.NAMES:
        made.router.add_post(f"/{name}", endpoint(name))
    return made


@asynccontextmanager
async def serve_aiohttp(made):
    # Before 3.9 no client that goes away cancels a handler.
    cancels = aiohttp.__version__.startswith("3.8.")
    runner = web.AppRunner(made, **({} if cancels else {"handler_cancellation": True}))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


class Whole(tornado.web.RequestHandler):
    def initialize(self, endpoints, name):
        self.endpoints = endpoints
        self.name = name

    async def post(self):
        async def read():
            return self.request.body

        async def parsed():
            return tornado.escape.json_decode(self.request.body)

        content = await self.endpoints.run(self.name, SimpleNamespace(read=read, json=parsed))
        if self.name != "drip":
            self.write(content)
            return
        async with aclosing(content):
            async for part in content:
                self.write(part)
                await self.flush()

    def log_exception(self, kind, error, traceback):
        if kind is RefusedError:
            self.endpoints.passed(error)


@tornado.web.stream_request_body
class Streamed(Whole):
    def prepare(self):
        self.arrived = asyncio.Queue()
        self.answering = asyncio.ensure_future(self.answer())

    async def data_received(self, chunk):
        self.arrived.put_nowait(chunk)
        await asyncio.sleep(0)  # who reads it takes it before more comes

    async def post(self):
        self.arrived.put_nowait(b"")
        await self.answering

    def on_connection_close(self):
        self.answering.cancel()

    async def answer(self):
        async def parts():
            while part := await self.arrived.get():
                yield part

        self.finish(await self.endpoints.run(self.name, SimpleNamespace(parts=parts, large=parts)))


def tornado_application(endpoints):
    return tornado.web.Application(
        [
            (
                f"/{name}",
                Streamed if name in STREAMED else Whole,
                {"endpoints": endpoints, "name": name},
            )
            for name in endpoints.NAMES
        ]
    )


def sanic_application(endpoints):
    made = sanic.Sanic(f"shop{uuid.uuid4().hex}", configure_logging=False)
    for name in endpoints.NAMES:
        answer, streams = _sanic_endpoint(endpoints, name), name in STREAMED
        made.add_route(answer, f"/{name}", ["POST"], name=name, stream=streams)

    @made.exception(RefusedError)
    async def passed(request, error):
        endpoints.passed(error)
        raise error

    return made


def _sanic_endpoint(endpoints, name):
    async def answer(request):
        async def read():
            return request.body

        async def parsed():
            return request.json

        async def parts():
            async for part in request.stream:
                yield part

        reading = SimpleNamespace(read=read, json=parsed, parts=parts, large=parts)
        content = await endpoints.run(name, reading)
        if name != "drip":
            return sanic.raw(content)
        streamed = await request.respond()
        async with aclosing(content):
            async for part in content:
                await streamed.send(part)
        return None

    return answer
