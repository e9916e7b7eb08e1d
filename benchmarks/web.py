"""
What a request costs an ASGI application more, beside contrib's ASGI middleware.

Starlette's router, called as a server calls it; there is no network.
"""

from __future__ import annotations

import json

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from benchmarks.application import Step, body, instrumented, microseconds
from otelope.core.adapter import Adapter
from otelope.core.carriers import HTTP
from otelope.core.sites.asgi import Asgi


class Wrapped(Router):
    """Starlette's, as otelope wraps it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)


class Fast(Router):
    """The same in the fast lane."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)


class Plain(Router):
    """The same without."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)


class Asked(NamedTuple):
    """A request as a server passes it on."""

    scope: dict[str, Any]
    receive: Callable[[], Coroutine[Any, Any, dict[str, Any]]]


def asked(content: bytes, media_type: bytes = b"application/json") -> Asked:
    """A request to the one route there is."""
    headers = [
        (b"host", b"orders"),
        (b"user-agent", b"shop/1.0"),
        (b"accept", b"*/*"),
        (b"content-type", media_type),
        (b"content-length", str(len(content)).encode()),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/orders",
        "raw_path": b"/orders",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    return Asked(scope, receive)


async def _endpoint(request: Request) -> Response:
    await request.body()
    return Response(status_code=204)


async def _send(_: Any) -> None: ...


def _served(application: Any) -> Callable[[Asked], None]:
    def serve(request: Asked) -> None:
        answering = application(request.scope, request.receive, _send)
        try:
            answering.send(None)
        except StopIteration:
            return
        raise RuntimeError("it waits for something")

    return serve


def _adapter(router: type[Router]) -> Adapter:
    return Adapter("http", HTTP, (Asgi(f"{router.__module__}:{router.__name__}.__call__"),))


def run() -> list[dict[str, Any]]:
    """The goals of a request, as rows of the benchmark table."""
    tracer = TracerProvider().get_tracer("bare")
    routes = [Route("/orders", _endpoint, methods=["POST"])]
    patches = [
        instrumented(TracerProvider(), _adapter(Wrapped)),
        instrumented(TracerProvider(), _adapter(Fast), lane="fast"),
    ]
    plain, ours, fast = (_served(router(routes)) for router in (Plain, Wrapped, Fast))
    contrib = _served(OpenTelemetryMiddleware(Plain(routes), tracer_provider=TracerProvider()))
    other = json.dumps({"rows": [{"a": n} for n in range(100)]}).encode()
    form = b"order=7&sku=abc"

    def unlike() -> Asked:
        return asked(other)

    def posted() -> Asked:
        return asked(form, b"application/x-www-form-urlencoded")

    try:
        cost = microseconds(
            {
                "span": Step(lambda _: tracer.start_span("bare").end(), lambda: None),
                "plain": Step(plain, posted),
                "form": Step(ours, posted),
                "json": Step(ours, unlike),
                "envelope": Step(ours, lambda: asked(body())),
                "envelope_fast": Step(fast, lambda: asked(body())),
                "contrib": Step(contrib, posted),
            }
        )
    finally:
        for each in patches:
            each.remove()

    def row(name: str, goal: float | None = None) -> dict[str, Any]:
        added = cost[name] - cost["plain"]
        ratio = round(added / cost["span"], 3)
        return {"name": f"request_{name}", "ratio": ratio, "unit": "S", "goal": goal}

    return [
        row("form", 0.3),
        row("json", 0.3),
        row("envelope", 4.0),
        row("envelope_fast", 4.0),
        row("contrib"),
    ]


if __name__ == "__main__":
    for measured in run():
        print(measured)
