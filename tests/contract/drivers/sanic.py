"""Sanic's server, every way to read."""

from __future__ import annotations

import socket
import uuid
import warnings

from contextlib import asynccontextmanager

import sanic

from otelope.testing import Features, Got
from tests.contract.own import OwnExchange


# It compiles its functions once for each server, which else can be done once in a process.
sanic.Sanic.test_mode = True

SERVERS = ("web_server",)
_SERVED = Features("http", nested=True, raises=False, asynchronous=True)
STYLES = {"body": _SERVED, "generator": _SERVED}


class Driver(OwnExchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, style, application, serve)


@asynccontextmanager
async def serve(made):
    listening = socket.create_server(("127.0.0.1", 0))
    with warnings.catch_warnings():
        # What it uses of websockets is deprecated there.
        warnings.simplefilter("ignore", DeprecationWarning)
        server = await made.create_server(
            sock=listening, access_log=False, return_asyncio_server=True
        )
        await server.startup()
        await server.start_serving()
    yield listening.getsockname()[1]
    server.close()
    await server.wait_closed()


def application(style, handlers):
    made = sanic.Sanic(f"shop{uuid.uuid4().hex}", configure_logging=False)
    for channel, handler in handlers.items():
        made.add_route(_endpoint(style, handler), f"/{channel}", ["POST"], name=channel)
    return made


def _endpoint(style, handler):
    async def endpoint(request):
        got = Got(request.body, request.body, request.headers)
        if style != "generator":
            await handler(got)
            return sanic.empty()
        answer = await request.respond()
        await answer.send(b"begun")
        await handler(got)
        await answer.send(b"done")
        return None

    return endpoint
