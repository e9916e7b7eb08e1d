"""Quart behind a real server, every way to read."""

from __future__ import annotations

import quart

from otelope.testing import Features, Got
from tests.contract.exchange import Exchange


SERVERS = ("web_server",)
_SERVED = Features("http", nested=True, raises=False, asynchronous=True)
STYLES = {"json": _SERVED, "data": _SERVED, "stream": _SERVED, "generator": _SERVED}


class Driver(Exchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, style, application)


def application(style, handlers):
    made = quart.Quart("shop")
    for channel, handler in handlers.items():
        made.add_url_rule(f"/{channel}", channel, _view(style, handler), methods=["POST"])
    return made


def _view(style, handler):
    async def view():
        if style == "json":
            await quart.request.get_json(silent=True)
        if style == "stream":
            body = b"".join([chunk async for chunk in quart.request.body])
        else:
            body = await quart.request.get_data()
        got = Got(body, body, quart.request.headers)
        if style == "generator":
            return answer(got), 200
        await handler(got)
        return "", 204

    async def answer(got):
        yield b"begun"
        await handler(got)
        yield b"done"

    return view
