"""Pyramid behind a real server, every way to read."""

from __future__ import annotations

import contextlib
import warnings

from otelope.testing import Features, Got, run_inline
from tests.contract.exchange import Exchange


with warnings.catch_warnings():
    # Its own, and WebOb's, on which it stands, with the setuptools and the Python of today.
    warnings.simplefilter("ignore")
    from pyramid.config import Configurator
    from pyramid.response import Response

SERVERS = ("wsgi_server",)
_SERVED = Features("http", nested=True, raises=False)
STYLES = {"json": _SERVED, "body": _SERVED, "generator": _SERVED}


class Driver(Exchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, style, application)


def application(style, handlers):
    with Configurator() as made:
        for channel, handler in handlers.items():
            made.add_route(channel, f"/{channel}")
            made.add_view(_view(style, handler), route_name=channel)
    return made.make_wsgi_app()


def _view(style, handler):
    def view(request):
        if style == "json":
            with contextlib.suppress(ValueError):
                request.json_body  # noqa: B018 - reads the body
        body = request.body
        got = Got(body, body, request.headers)
        if style == "generator":
            return Response(app_iter=answer(got))
        run_inline(handler(got))
        return Response(status=204)

    def answer(got):
        yield b"begun"
        run_inline(handler(got))
        yield b"done"

    return view
