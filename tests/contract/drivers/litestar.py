"""Litestar behind a real server, every way to read."""

from litestar import Litestar, Request, post
from litestar.background_tasks import BackgroundTask
from litestar.response import Response, Stream

from otelope.testing import Features, Got
from tests.contract.exchange import Exchange


SERVERS = ("web_server",)
_SERVED = Features("http", nested=True, raises=False, asynchronous=True)
STYLES = {
    "json": _SERVED,
    "body": _SERVED,
    "stream": _SERVED,
    "generator": _SERVED,
    "background": _SERVED,
}


class Driver(Exchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, style, application)


def application(style, handlers, **options):
    return Litestar(
        [_route(style, channel, handler) for channel, handler in handlers.items()],
        openapi_config=None,
        logging_config=None,
        **options,
    )


def _route(style, channel, handler):
    @post(f"/{channel}", name=channel, status_code=200)
    async def endpoint(request: Request) -> Response:
        if style == "stream":
            body = b"".join([chunk async for chunk in request.stream()])
        else:
            body = await request.body()
        got = Got(body, body, request.headers)
        if style == "generator":
            return Stream(answer(got))
        if style == "background":
            return Response(b"", background=BackgroundTask(handler, got))
        await handler(got)
        return Response(b"")

    async def answer(got):
        yield b"begun"
        await handler(got)
        yield b"done"

    return endpoint
