"""Flask."""

from __future__ import annotations

from typing import Any

import flask

from otelope.core.adapter import Adapter
from otelope.core.carriers import HTTP
from otelope.core.sites.serve import Catch
from otelope.core.sites.wsgi import Wsgi


def template(_: Any) -> str | None:
    # Outside of the request's context a middleware reads, before there is a route.
    rule = flask.request.url_rule if flask.has_request_context() else None
    return rule.rule if rule is not None else None


ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        Wsgi("flask.app:Flask.wsgi_app", template),
        Catch("flask.app:Flask.handle_exception", lambda call: call["e"]),
    ),
)
