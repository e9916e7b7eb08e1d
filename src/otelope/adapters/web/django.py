"""Django under WSGI and ASGI, and what stands on it, as the REST framework."""

from __future__ import annotations

from typing import Any

from otelope.core.adapter import Adapter, part
from otelope.core.carriers import HTTP
from otelope.core.sites.asgi import Asgi
from otelope.core.sites.serve import Catch, Route
from otelope.core.sites.wsgi import Wsgi


def template(match: Any) -> str:
    return f"/{match.route}"


_HANDLERS = "django.core.handlers"
# Each when Django imports it: one imports the other before it is itself complete.
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(),
    parts=(
        part("http", HTTP, Wsgi(f"{_HANDLERS}.wsgi:WSGIHandler.__call__", routed=True)),
        part("http", HTTP, Asgi(f"{_HANDLERS}.asgi:ASGIHandler.__call__", routed=True)),
        part("http", HTTP, Route(f"{_HANDLERS}.base:BaseHandler.resolve_request", template)),
        part(
            "http",
            HTTP,
            Catch(f"{_HANDLERS}.exception:response_for_exception", lambda call: call["exc"]),
        ),
    ),
)
