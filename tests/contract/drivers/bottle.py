"""Bottle behind a real server, every way to read."""

from __future__ import annotations

import contextlib

import bottle

from otelope.testing import Features, Got, run_inline
from tests.contract.exchange import Exchange


SERVERS = ("wsgi_server",)
_SERVED = Features("http", nested=True, raises=False)
STYLES = {"json": _SERVED, "body": _SERVED, "generator": _SERVED}


class Driver(Exchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, style, application)


def application(style, handlers):
    made = bottle.Bottle()
    for channel, handler in handlers.items():
        made.post(f"/{channel}")(_view(style, handler))
    return made


def _view(style, handler):
    def view():
        if style == "json":
            with contextlib.suppress(bottle.HTTPError):
                bottle.request.json  # noqa: B018 - reads the body
        body = bottle.request.body.read()
        got = Got(body, body, bottle.request.headers)
        if style == "generator":
            return answer(got)
        run_inline(handler(got))
        return ""

    def answer(got):
        yield b"begun"
        run_inline(handler(got))
        yield b"done"

    return view
