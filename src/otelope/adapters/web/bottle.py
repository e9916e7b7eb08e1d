"""Bottle."""

from __future__ import annotations

from typing import Any

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.sites.serve import Catch, Route
from otelope.core.sites.wsgi import Wsgi


def template(found: Any) -> str:
    return str(found[0].rule)


def caught(call: Call) -> BaseException | None:
    return getattr(call["out"], "exception", None)


ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Wsgi("bottle:Bottle.wsgi"),
        Route("bottle:Router.match", template),
        Catch("bottle:Bottle._cast", caught),
    ),
)
