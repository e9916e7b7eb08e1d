"""Flask behind a real server and in the caller's thread, every way to read."""

from __future__ import annotations

import flask

from otelope.testing import Features, Got, run_inline
from tests.contract.exchange import Exchange


SERVERS = ("wsgi_server",)
_SERVED = Features("http", nested=True, raises=False)
STYLES = {
    "json": _SERVED,
    "data": _SERVED,
    "stream": _SERVED,
    "generator": _SERVED,
    "async view": _SERVED,
    "blueprint": _SERVED,
}


class Driver(Exchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, style, application)


def application(style, handlers):
    made = flask.Flask("shop")
    routes = flask.Blueprint("orders", "shop") if style == "blueprint" else made
    for channel, handler in handlers.items():
        routes.add_url_rule(f"/{channel}", channel, _view(style, handler), methods=["POST"])
    if style == "blueprint":
        made.register_blueprint(routes)
    return made


def _view(style, handler):
    def read():
        if style == "json":
            flask.request.get_json(silent=True)
        if style == "stream":
            body = b"".join(iter(lambda: flask.request.stream.read(7), b""))
        else:
            body = flask.request.get_data()
        return Got(body, body, flask.request.headers)

    async def view_async():
        await handler(read())
        return "", 204

    def view():
        got = read()
        if style != "generator":
            run_inline(handler(got))
            return "", 204

        def answer():
            yield b"begun"
            run_inline(handler(got))
            yield b"done"

        return answer(), 200

    return view_async if style == "async view" else view
