"""Falcon behind real servers of WSGI and ASGI, every way to read."""

from __future__ import annotations

from dataclasses import replace

import falcon
import falcon.asgi

from otelope.testing import Features, Got, run_inline
from tests.contract.exchange import Exchange


SERVERS = ("both_servers",)
_WSGI = Features("http", nested=True, raises=False)
_ASGI = replace(_WSGI, asynchronous=True)
STYLES = {
    "body": _WSGI,
    "stream": _WSGI,
    "generator": _WSGI,
    "ASGI body": _ASGI,
    "ASGI stream": _ASGI,
    "ASGI generator": _ASGI,
}


class Driver(Exchange):
    def __init__(self, style, servers):
        features = STYLES[style]
        asynchronous = features.asynchronous
        server = servers.asgi if asynchronous else servers.wsgi
        super().__init__(features, server, style, _asgi if asynchronous else _wsgi)


def _wsgi(style, handlers):
    made = falcon.App()
    for channel, handler in handlers.items():
        made.add_route(f"/{channel}", _Resource(style, handler))
    return made


def _asgi(style, handlers):
    made = falcon.asgi.App()
    for channel, handler in handlers.items():
        made.add_route(f"/{channel}", _AsyncResource(style.removeprefix("ASGI "), handler))
    return made


def _got(body, request):
    return Got(body, body, {name.lower(): value for name, value in request.headers.items()})


class _Resource:
    def __init__(self, style, handler):
        self.style = style
        self.handler = handler

    def on_post(self, request, response):
        if self.style == "stream":
            body = b"".join(iter(lambda: request.bounded_stream.read(7), b""))
        else:
            body = request.bounded_stream.read()
        got = _got(body, request)
        if self.style == "generator":
            response.stream = self.answer(got)
        else:
            run_inline(self.handler(got))

    def answer(self, got):
        yield b"begun"
        run_inline(self.handler(got))
        yield b"done"


class _AsyncResource:
    def __init__(self, style, handler):
        self.style = style
        self.handler = handler

    async def on_post(self, request, response):
        if self.style == "stream":
            body = b"".join([chunk async for chunk in request.stream])
        else:
            body = await request.stream.read()
        got = _got(body, request)
        if self.style == "generator":
            response.stream = self.answer(got)
        else:
            await self.handler(got)

    async def answer(self, got):
        yield b"begun"
        await self.handler(got)
        yield b"done"
