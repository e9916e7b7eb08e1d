"""What the web protocols' sites call a request, and which bodies they look at."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from otelope.core.http import error_of_answer, is_event_content, route
from otelope.core.sites.asgi import _route


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/orders", "/orders"),
        ("/orders/17", "/orders/{id}"),
        ("/orders/17/lines/3", "/orders/{id}/lines/{id}"),
        ("/orders/018f6e1c-9c3e-8a1b-b2c3-d4e5f6a7b8c9", "/orders/{id}"),
        ("/v1/orders", "/v1/orders"),
        ("/", "/"),
    ],
)
def test_route_has_no_ids(path, expected):
    assert route(path) == expected


@pytest.mark.parametrize(
    ("path", "root", "template", "expected"),
    [
        ("/orders/17", "", None, "/orders/{id}"),
        ("/orders/17", "", "/orders/{order}", "/orders/{order}"),
        ("/shop/orders", "/shop", None, "/shop/orders"),  # the path as ASGI has it
        ("/orders", "/shop", None, "/shop/orders"),  # as Starlette before 0.33
        ("/shop/orders", "/shop", "/orders", "/shop/orders"),
        ("/shop/shopping", "/shop", "/shopping", "/shop/shopping"),
        ("/shop", "/shop", None, "/shop"),
        ("/tenants/17/orders", "/tenants/17", "/orders", "/tenants/{id}/orders"),
    ],
)
def test_channel_of_a_request(path, root, template, expected):
    scope = {"path": path, "root_path": root}
    if template is not None:
        scope["route"] = SimpleNamespace(path=template)
    assert _route(scope) == expected


def test_channel_where_the_route_says_no_path():
    assert _route({"path": "/orders", "route": object()}) == "/orders"


@pytest.mark.parametrize(
    ("headers", "looked_at"),
    [
        ({}, False),
        ({"content-type": "application/json"}, True),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, True),
        ({"content-type": "application/cloudevents+json"}, True),
        ({"content-type": "text/html"}, False),
        ({"content-type": "text/html", "ce-id": "1"}, True),
        ({"content-type": "application/json", "content-encoding": "gzip"}, False),
        ({"content-type": "application/json", "content-encoding": "identity"}, True),
        ({"content-type": "application/json", "content-length": "100"}, True),
        ({"content-type": "application/json", "content-length": "101"}, False),
    ],
)
def test_bodies_that_are_looked_at(headers, looked_at):
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert is_event_content(pairs, 100) is looked_at


@pytest.mark.parametrize(
    ("status", "error"), [(204, None), (302, None), (404, "404"), (503, "503")]
)
def test_error_of_an_answer(status, error):
    assert error_of_answer(status) == error
