"""Applications of the WSGI frameworks, each with what its framework has to see exceptions pass."""

from __future__ import annotations

import json
import warnings

from functools import partial
from types import SimpleNamespace

import bottle
import falcon
import flask

from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, StreamingHttpResponse

from otelope.testing import run_inline
from tests.contract.unharmed.endpoints import PART, RefusedError
from tests.contract.unharmed.on_django import django_handler
from tests.contract.unharmed.watching import inline


with warnings.catch_warnings():
    # Its own, and WebOb's, on which it stands, with the setuptools and the Python of today.
    warnings.simplefilter("ignore")
    from pyramid.config import Configurator
    from pyramid.response import Response
    from pyramid.tweens import EXCVIEW


def flask_application(endpoints):
    made = flask.Flask("shop")

    def endpoint(name):
        def answer():
            request = flask.request
            reading = _reading(request.get_data, request.get_json, request.stream.read)
            return _run(endpoints, name, reading)

        return answer

    for name in endpoints.NAMES:
        made.add_url_rule(f"/{name}", name, endpoint(name), methods=["POST"])

    @made.errorhandler(RefusedError)
    def passed(error):
        endpoints.passed(error)
        raise error

    return made


def django_application(endpoints):
    def view(name):
        def answer(request):
            reading = _reading(
                lambda: request.body, lambda: json.loads(request.body), request.read
            )
            content = _run(endpoints, name, reading)
            return StreamingHttpResponse(content) if name == "drip" else HttpResponse(content)

        return answer

    return django_handler(WSGIHandler, endpoints, view)


def falcon_application(endpoints):
    made = falcon.App()

    class Resource:
        def __init__(self, name):
            self.name = name

        def on_post(self, request, response):
            stream = request.bounded_stream
            reading = _reading(stream.read, request.get_media, stream.read)
            content = _run(endpoints, self.name, reading)
            if self.name == "drip":
                response.stream = content
            else:
                response.data = content

    def passed(request, response, error, params):
        endpoints.passed(error)
        raise error

    for name in endpoints.NAMES:
        made.add_route(f"/{name}", Resource(name))
    made.add_error_handler(RefusedError, passed)
    return made


def pyramid_application(endpoints):
    def endpoint(name):
        def answer(request):
            reading = _reading(
                lambda: request.body, lambda: request.json_body, _raw(request.environ)
            )
            content = _run(endpoints, name, reading)
            return Response(app_iter=content) if name == "drip" else Response(content)

        return answer

    with Configurator(settings={"endpoints": endpoints}) as made:
        made.add_tween(f"{__name__}.noting", over=EXCVIEW)
        for name in endpoints.NAMES:
            made.add_route(name, f"/{name}")
            made.add_view(endpoint(name), route_name=name, request_method="POST")
    return made.make_wsgi_app()


def noting(handler, registry):
    """A tween, which Pyramid finds by its name."""

    def tween(request):
        try:
            return handler(request)
        except RefusedError as error:
            registry.settings["endpoints"].passed(error)
            raise

    return tween


def bottle_application(endpoints):
    made = bottle.Bottle()

    def endpoint(name):
        def answer():
            request = bottle.request

            def read():
                request.body.seek(0)
                return request.body.read()

            reading = _reading(read, lambda: request.json, _raw(request.environ))
            return _run(endpoints, name, reading)

        return answer

    def noting(callback):
        def passing(*args, **kwargs):
            try:
                return callback(*args, **kwargs)
            except RefusedError as error:
                endpoints.passed(error)
                raise

        return passing

    made.install(noting)
    for name in endpoints.NAMES:
        made.post(f"/{name}")(endpoint(name))
    return made


def _raw(environ):
    """Reads of the server's input, of which these frameworks' own bodies are buffered copies."""
    terminated = environ.get("wsgi.input_terminated")
    left = int(environ.get("CONTENT_LENGTH") or 0)

    def read(size):
        nonlocal left
        part = environ["wsgi.input"].read(size if terminated else min(size, left))
        left -= len(part)
        return part

    return read


def _reading(read, parsed, read_part):
    async def read_all():
        return read()

    async def read_json():
        return parsed()

    async def parts(size=PART):
        while part := read_part(size):
            yield part

    return SimpleNamespace(
        read=read_all, json=read_json, parts=parts, large=partial(parts, 65_536)
    )


def _run(endpoints, name, reading):
    content = run_inline(endpoints.run(name, reading))
    return inline(content) if name == "drip" else content
