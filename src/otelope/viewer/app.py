"""Serves the pages: files as they are, and the few things that those cannot know."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send


_FILES = Path(__file__).parent / "static"
# Envelopes are other people's words: a page runs nothing and asks nobody but what came with it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # Asked again each time, and answered by "not modified": an upgrade is seen at once.
    (b"cache-control", b"no-cache"),
)


def pages(jaeger: str | None) -> list[BaseRoute]:
    """
    The routes of the pages.

    Args:
        jaeger: Where Jaeger's pages begin; None where there is none.
    """

    async def settings(_: Request) -> JSONResponse:
        return JSONResponse({"jaeger": jaeger})

    files = _Guarded(StaticFiles(directory=_FILES, html=True))
    # One by one: what is none of them is for others to answer.
    names = ["", *sorted(path.name for path in _FILES.iterdir())]
    return [
        Route("/viewer.json", settings),
        *(Route(f"/{name}", files, methods=["GET"]) for name in names),
    ]


class _Guarded:
    """Tells the browser what a page may do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await self._app(scope, receive, guarded)
