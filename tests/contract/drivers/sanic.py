"""Sanic's server, and Sanic as an ASGI application, every way to read."""

from __future__ import annotations

import socket
import uuid
import warnings

from contextlib import asynccontextmanager

import sanic
import sanic.views
import uvicorn

from otelope.testing import Features, Got
from tests.contract.own import OwnExchange


# It compiles its functions once for each server, which else can be done once in a process.
sanic.Sanic.test_mode = True

SERVERS = ("web_server",)
_SERVED = Features("http", nested=True, raises=False, asynchronous=True)
# Of each the first word says how it reads.
STYLES = {
    "body": _SERVED,
    "generator": _SERVED,
    "read": _SERVED,
    "iterate": _SERVED,
    "receive": _SERVED,
    "read view": _SERVED,
    "body view": _SERVED,
    "body ASGI": _SERVED,
    # There who reads on after the end waits until the client has gone.
    "iterate ASGI": _SERVED,
    "receive ASGI": _SERVED,
}


class Driver(OwnExchange):
    def __init__(self, style, server):
        served = serve_asgi if style.endswith("ASGI") else serve
        super().__init__(STYLES[style], server, style, application, served)


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


@asynccontextmanager
async def serve_asgi(made):
    listening = socket.create_server(("127.0.0.1", 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        config = uvicorn.Config(
            made, log_config=None, log_level="critical", lifespan="on", ws="none"
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        # Not `serve`, which takes the signals of the main thread.
        await server.lifespan.startup()
        await server.startup([listening])
    yield listening.getsockname()[1]
    await server.shutdown([listening])


def application(style, handlers):
    made = sanic.Sanic(f"shop{uuid.uuid4().hex}", configure_logging=False)
    how, *where = style.split()
    for channel, handler in handlers.items():
        endpoint = _endpoint(how, handler)
        if "view" in where:
            # By itself it says whether it streams.
            streams = sanic.views.stream if how != "body" else lambda post: post
            view = type(
                channel,
                (sanic.views.HTTPMethodView,),
                {"post": streams(lambda _, request, run=endpoint: run(request))},
            )
            made.add_route(view.as_view(), f"/{channel}")
        else:
            streams = how in READS
            made.add_route(endpoint, f"/{channel}", ["POST"], name=channel, stream=streams)
    return made


async def _read(request):
    body = b""
    while part := await request.stream.read():
        body += part
    return body


async def _iterate(request):
    return b"".join([part async for part in request.stream])


async def _receive(request):
    await request.receive_body()
    return request.body


READS = {"read": _read, "iterate": _iterate, "receive": _receive}


def _endpoint(how, handler):
    async def endpoint(request):
        body = await READS[how](request) if how in READS else request.body
        got = Got(body, body, request.headers)
        if how != "generator":
            await handler(got)
            return sanic.empty()
        answer = await request.respond()
        await answer.send(b"begun")
        await handler(got)
        await answer.send(b"done")
        return None

    return endpoint
