"""What the web protocols' sites call a request, and which bodies they look at."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from otelope.core.http import error_of_answer, event_content, pairs_of, route, text_of
from otelope.core.sites.asgi import _below, _said_by_scope


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
    assert _below(scope, _said_by_scope(scope)) == expected


def test_channel_where_the_route_says_no_path():
    assert _said_by_scope({"path": "/orders", "route": object()}) is None


@pytest.mark.parametrize(
    ("headers", "looked_at"),
    [
        ({}, False),
        ({"content-type": "application/json"}, True),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, True),
        ({"content-type": "application/cloudevents+json"}, True),
        ({"content-type": "text/html"}, False),
        ({"content-type": "text/html", "ce-id": "1"}, True),
        ({"content-type": "text/html", "Ce-Id": "1"}, True),
        ({"content-type": "application/json", "content-encoding": "gzip"}, False),
        ({"content-type": "application/json", "content-encoding": "identity"}, True),
        ({"content-type": "application/json", "content-length": "100"}, True),
        ({"content-type": "application/json", "content-length": "101"}, False),
        ({"content-type": "application/json", "content-length": "many"}, True),
    ],
)
def test_bodies_that_are_looked_at(headers, looked_at):
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert (event_content(pairs, 100) is not None) is looked_at


@pytest.mark.parametrize(
    ("status", "error"), [(204, None), (302, None), (404, "404"), (503, "503")]
)
def test_error_of_an_answer(status, error):
    assert error_of_answer(status) == error


@pytest.mark.parametrize(
    ("headers", "encoding", "text"),
    [
        ({"X-Tag": "red"}, "latin-1", [("X-Tag", "red")]),
        ([("X-Tag", "red"), ("x-tag", "blue")], "latin-1", [("X-Tag", "red"), ("x-tag", "blue")]),
        ([(b"X-Tag", b"\xeb")], "latin-1", [("X-Tag", "\xeb")]),
        ({"X-Tag": "\u2192"}, "utf-8", [("X-Tag", "\u2192")]),
        ({"Content-Length": 7}, "latin-1", [("Content-Length", "7")]),
        (None, "latin-1", []),
    ],
)
def test_client_is_given_its_headers_again_however_often_they_are_said(headers, encoding, text):
    assert text_of(pairs_of(headers, encoding), encoding) == text
