"""Django behind real servers of WSGI and ASGI, every way to read."""

from __future__ import annotations

from dataclasses import replace

import django

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from otelope.testing import Features, Got, run_inline
from otelope.testing.driver import run_in_loop
from tests.contract.exchange import Exchange


SERVERS = ("both_servers",)
_WSGI = Features("http", nested=True, raises=False)
_ASGI = replace(_WSGI, asynchronous=True)
STYLES = {
    "body": _WSGI,
    "stream": _WSGI,
    "generator": _WSGI,
    "async view": _WSGI,
    "ASGI body": _ASGI,
    "ASGI stream": _ASGI,
    "ASGI generator": _ASGI,
    "ASGI sync view": _ASGI,
}


class Urls:
    """What ROOT_URLCONF may be: an object with the patterns of the day."""

    def __init__(self, patterns):
        self.urlpatterns = patterns


class Driver(Exchange):
    def __init__(self, style, servers):
        configure()
        features = STYLES[style]
        server = servers.asgi if features.asynchronous else servers.wsgi
        super().__init__(features, server, style, application)


def configure():
    """Once in a process."""
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="none", DEBUG=False)
        django.setup()


def application(style, handlers):
    configure()
    settings.ROOT_URLCONF = Urls(
        [path(channel, _view(style, handler)) for channel, handler in handlers.items()]
    )
    django.urls.clear_url_caches()
    django.urls.set_urlconf(None)
    return ASGIHandler() if style.startswith("ASGI") else WSGIHandler()


def _view(style, handler):
    def read(request):
        streamed = "stream" in style
        body = b"".join(iter(lambda: request.read(7), b"")) if streamed else request.body
        return Got(body, body, {n.lower(): v for n, v in request.headers.items()})

    async def view_async(request):
        got = read(request)
        if "generator" in style:
            return StreamingHttpResponse(answer_async(got))
        await handler(got)
        return HttpResponse(status=204)

    async def answer_async(got):
        yield b"begun"
        await handler(got)
        yield b"done"

    def view(request):
        got = read(request)
        if style == "generator":
            return StreamingHttpResponse(answer(got))
        # Its thread has no loop of its own.
        run = run_in_loop if style == "ASGI sync view" else run_inline
        run(handler(got))
        return HttpResponse(status=204)

    def answer(got):
        yield b"begun"
        run_inline(handler(got))
        yield b"done"

    return view if style in ("body", "stream", "generator", "ASGI sync view") else view_async
