"""Pyramid."""

from __future__ import annotations

from typing import Any

from otelope.core.adapter import Adapter
from otelope.core.carriers import HTTP
from otelope.core.sites.serve import Route
from otelope.core.sites.wsgi import Wsgi


def template(found: Any) -> str | None:
    return found["route"].pattern if found["route"] is not None else None


ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Wsgi("pyramid.router:Router.__call__"),
        Route("pyramid.urldispatch:RoutesMapper.__call__", template),
    ),
)
