"""Litestar."""

from __future__ import annotations

from typing import Any

from otelope.core.adapter import Adapter, part
from otelope.core.carriers import HTTP
from otelope.core.sites.asgi import Asgi


def template(scope: Any) -> str | None:
    path: str | None = scope.get("path_template")
    return path


# Middlewares stand between its router and a route: they may read the body for both, and its own
# for OpenTelemetry takes away what became current while it did.
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(Asgi("litestar._asgi.asgi_router:ASGIRouter.__call__", template),),
    parts=(
        part("http", HTTP, Asgi("litestar.routes.http:HTTPRoute.handle", template)),
        part("http", HTTP, Asgi("litestar.routes.websocket:WebSocketRoute.handle", template)),
    ),
)
