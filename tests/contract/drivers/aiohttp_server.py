"""aiohttp's server, every way to read."""

from __future__ import annotations

from contextlib import asynccontextmanager

from aiohttp import web

from otelope.testing import Features, Got
from tests.contract.own import OwnExchange


SERVERS = ("web_server",)
_SERVED = Features("http", nested=True, raises=False, asynchronous=True)
STYLES = {"json": _SERVED, "read": _SERVED, "stream": _SERVED, "generator": _SERVED}


class Driver(OwnExchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, style, application, serve)


@asynccontextmanager
async def serve(made):
    runner = web.AppRunner(made)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def application(style, handlers):
    made = web.Application()
    for channel, handler in handlers.items():
        made.router.add_post(f"/{channel}", _endpoint(style, handler))
    return made


def _endpoint(style, handler):
    async def endpoint(request):
        if style == "stream":
            body = b"".join([chunk async for chunk in request.content.iter_chunked(7)])
        else:
            body = await request.read()
        got = Got(body, body, request.headers)
        if style != "generator":
            await handler(got)
            return web.Response(status=204)
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"begun")
        await handler(got)
        await answer.write(b"done")
        return answer

    return endpoint
