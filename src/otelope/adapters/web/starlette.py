"""Starlette, and FastAPI, whose routers are Starlette's."""

from __future__ import annotations

from otelope.core.adapter import Adapter
from otelope.core.carriers import HTTP
from otelope.core.sites.asgi import Asgi


# The router stands inside every middleware: what a middleware attaches around its own reading
# (contrib's `http receive` span) is detached before the endpoint runs.
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(Asgi("starlette.routing:Router.__call__"),),
)
