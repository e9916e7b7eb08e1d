"""Applications of the ASGI frameworks, each with a middleware of its framework's."""

from __future__ import annotations

import json
import warnings

from types import SimpleNamespace
from typing import Any

import falcon.asgi
import litestar
import quart

from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from litestar.response import Response as LitestarResponse
from litestar.response import Stream
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.contract.unharmed.endpoints import PART, RefusedError
from tests.contract.unharmed.on_django import django_handler


with warnings.catch_warnings():
    # The lowest version's own quarrel with the pydantic of today.
    warnings.simplefilter("ignore", DeprecationWarning)
    import fastapi


class Noting:
    """A middleware of ASGI, which Starlette and FastAPI have inside of their own."""

    def __init__(self, app, endpoints):
        self.app = app
        self.endpoints = endpoints

    async def __call__(self, scope, receive, send):
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            self.endpoints.passed(error)
            raise


def starlette(endpoints):
    def endpoint(name):
        async def answer(request: Request):
            reading = SimpleNamespace(
                read=request.body, json=request.json, parts=request.stream, large=request.stream
            )
            return _starlette_response(name, await endpoints.run(name, reading))

        return answer

    return Starlette(
        routes=[Route(f"/{name}", endpoint(name), methods=["POST"]) for name in endpoints.NAMES],
        middleware=[Middleware(Noting, endpoints=endpoints)],
    )


def fastapi_application(endpoints):
    made = fastapi.FastAPI()
    made.add_middleware(Noting, endpoints=endpoints)

    def endpoint(name):
        async def answer(request: Request):
            reading = SimpleNamespace(read=request.body, parts=request.stream)
            return _starlette_response(name, await endpoints.run(name, reading))

        # FastAPI looks the annotations up in the module's names.
        answer.__annotations__ = {"request": Request}
        return answer

    async def parsed(order: Any = fastapi.Body()):  # noqa: B008 - FastAPI's form
        async def read():
            return order

        return _starlette_response("json", await endpoints.run("json", SimpleNamespace(json=read)))

    parsed.__annotations__ = {"order": Any}
    for name in endpoints.NAMES:
        answer = parsed if name == "json" else endpoint(name)
        made.post(f"/{name}", response_model=None)(answer)
    return made


def _starlette_response(name, answer):
    return StreamingResponse(answer) if name == "drip" else Response(answer)


def litestar_application(endpoints):
    def endpoint(name):
        async def answer(request: litestar.Request) -> LitestarResponse:
            reading = SimpleNamespace(read=request.body, json=request.json, parts=request.stream)
            content = await endpoints.run(name, reading)
            return Stream(content) if name == "drip" else LitestarResponse(content)

        answer.__annotations__ = {"request": litestar.Request, "return": LitestarResponse}
        return litestar.post(f"/{name}", name=name)(answer)

    async def passed(error, scope):
        if isinstance(error, RefusedError):
            endpoints.passed(error)

    return litestar.Litestar(
        [endpoint(name) for name in endpoints.NAMES],
        after_exception=[passed],
        openapi_config=None,
        logging_config=None,
    )


def quart_application(endpoints):
    made = quart.Quart("shop")

    def endpoint(name):
        async def answer():
            request = quart.request
            reading = SimpleNamespace(
                read=request.get_data, json=request.get_json, parts=request.body.__aiter__
            )
            return await endpoints.run(name, reading), 200

        return answer

    for name in endpoints.NAMES:
        made.add_url_rule(f"/{name}", name, endpoint(name), methods=["POST"])

    @made.errorhandler(RefusedError)
    async def passed(error):
        endpoints.passed(error)
        raise error

    return made


def falcon_application(endpoints):
    made = falcon.asgi.App()

    class Resource:
        def __init__(self, name):
            self.name = name

        async def on_post(self, request, response):
            async def parts():
                async for part in request.stream:
                    yield part

            reading = SimpleNamespace(
                read=request.stream.read, json=request.get_media, parts=parts
            )
            answer = await endpoints.run(self.name, reading)
            if self.name == "drip":
                response.stream = answer
            else:
                response.data = answer

    async def passed(request, response, error, params):
        endpoints.passed(error)
        raise error

    for name in endpoints.NAMES:
        made.add_route(f"/{name}", Resource(name))
    made.add_error_handler(RefusedError, passed)
    return made


def django_application(endpoints):
    def view(name):
        async def answer(request):
            async def read():
                return request.body

            async def parsed():
                return json.loads(request.body)

            async def parts():
                while part := request.read(PART):
                    yield part

            reading = SimpleNamespace(read=read, json=parsed, parts=parts)
            content = await endpoints.run(name, reading)
            return StreamingHttpResponse(content) if name == "drip" else HttpResponse(content)

        return answer

    return django_handler(ASGIHandler, endpoints, view)
