"""A shop for WSGI servers: `gunicorn wsgi:application`."""

from __future__ import annotations

from typing import Any

import flask
import shop


application = flask.Flask(__name__)


@application.post("/orders")
def place() -> tuple[dict[str, Any], int]:
    return shop.place(flask.request.get_json()), 202


shop.opens()
