"""What else HTTP carries: batches of CloudEvents, events as answers, server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import urllib.error
import urllib.request

from urllib.parse import urlsplit

import aiohttp.web
import flask
import httpx
import pytest
import quart
import sanic
import tornado.web
import urllib3

from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

import otelope

from otelope.model.identity import new_id
from otelope.testing.messages import follow, foreign_id, make
from otelope.testing.spans import links, parent, span_spot
from tests.contract.drivers import aiohttp_server as aiohttp_driver
from tests.contract.drivers import sanic as sanic_driver
from tests.contract.drivers import tornado as tornado_driver
from tests.contract.own import in_thread
from tests.service import failed


JSON = "application/json"
BATCH = "application/cloudevents-batch+json"
STREAM = "text/event-stream"


def over_starlette(answer):
    async def endpoint(request):
        body, media_type = answer(await request.body())
        made = Response if isinstance(body, bytes) else StreamingResponse
        return made(body, media_type=media_type)

    return Starlette(routes=[Route("/orders", endpoint, methods=["POST"])])


def over_flask(answer):
    app = flask.Flask("shop")

    @app.post("/orders")
    def view():
        body, media_type = answer(flask.request.get_data())
        return flask.Response(body, mimetype=media_type)

    return app


def over_quart(answer):
    app = quart.Quart("shop")

    @app.post("/orders")
    async def view():
        body, media_type = answer(await quart.request.get_data())
        return quart.Response(body, mimetype=media_type)

    return app


def over_aiohttp(answer):
    async def endpoint(request):
        body, media_type = answer(await request.read())
        return aiohttp.web.Response(body=body, content_type=media_type)

    app = aiohttp.web.Application()
    app.router.add_post("/orders", endpoint)
    return app


def over_sanic(answer):
    app = sanic.Sanic("answering", configure_logging=False)

    async def endpoint(request):
        body, media_type = answer(request.body)
        return sanic.HTTPResponse(body, content_type=media_type)

    app.add_route(endpoint, "/orders", ["POST"])
    return app


def over_tornado(answer):
    class Orders(tornado.web.RequestHandler):
        async def post(self):
            body, media_type = answer(self.request.body)
            self.set_header("content-type", media_type)
            self.write(body)

    return tornado.web.Application([("/orders", Orders)])


SERVED = {
    over_starlette: "web_server",
    over_quart: "web_server",
    over_flask: "wsgi_server",
    over_aiohttp: aiohttp_driver.serve,
    over_sanic: sanic_driver.serve,
    over_tornado: tornado_driver.serve,
}


@pytest.fixture
def post(request):
    """Posts to an application that a framework makes of a function; what came back."""

    def posted(framework, answer, body, media_type=JSON, **headers):
        served, app = SERVED[framework], framework(answer)
        with contextlib.ExitStack() as stack:
            if isinstance(served, str):
                server = request.getfixturevalue(served)
                server.site.application, server.site.passed = app, 0
                netloc = urlsplit(server.address).netloc
            else:
                netloc = f"127.0.0.1:{stack.enter_context(in_thread(served, app))}"
            connection = http.client.HTTPConnection(netloc, timeout=20)
            stack.callback(connection.close)
            connection.request("POST", "/orders", body, {"content-type": media_type, **headers})
            got = connection.getresponse().read()
            if isinstance(served, str):
                server.site.wait(1)
            return got

    return posted


EACH = pytest.mark.parametrize("framework", SERVED, ids=lambda made: made.__name__[5:])
STREAMING = pytest.mark.parametrize(
    "framework", [over_starlette, over_flask], ids=["ASGI", "WSGI"]
)


@EACH
def test_event_in_the_answer_is_the_result_of_the_command(service, post, framework):
    placed = make()
    result = follow(placed.body)
    assert post(framework, lambda _: (result.body, JSON), placed.body) == result.body
    assert service.shapes() == [["process PlaceOrder", "  OrderPlaced"]]
    assert [(e.envelope.id, e.channel, e.recorded_by) for e in service.envelopes()] == [
        (placed.id, "/orders", "receiver"),
        (result.id, "/orders", "sender"),
    ]


@EACH
def test_what_says_again_what_came_is_no_result(service, post, framework):
    placed = make()
    assert post(framework, lambda body: (body, JSON), placed.body) == placed.body
    assert [record.envelope.id for record in service.envelopes()] == [placed.id]
    assert [span.name for span in service.spans()] == ["process /orders"]


@EACH
@pytest.mark.parametrize("answer", [b"{}", b"[1", b'{"id": 7', b""])
def test_other_answers_are_none_of_ours(service, post, framework, answer):
    assert post(framework, lambda _: (answer, JSON), make().body) == answer
    assert len(service.spans()) == len(service.envelopes()) == 1


@EACH
def test_answer_to_what_is_no_envelope_is_not_looked_at(service, post, framework):
    result = make("OrderPlaced")
    assert post(framework, lambda _: (result.body, JSON), b'{"order": 7}') == result.body
    assert (service.spans(), service.records) == ([], [])


@EACH
def test_events_of_a_batch_are_delivered_together(service, post, framework):
    sent, seen = [make(), make(), make()], []
    events = [cloud_event(each) for each in sent]

    def answer(body):
        for event in json.loads(body):
            with otelope.handling(event) as envelope:
                seen.append(envelope.id)
        return b"", "text/plain"

    post(framework, answer, json.dumps(events).encode(), BATCH)
    assert seen == [each.id for each in sent]
    assert [(d.envelope.id, d.outcome) for d in service.deliveries()] == [
        (each.id, "ok") for each in sent
    ]


def by_aiohttp(url, body, headers):
    async def send():
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            await answer.read()

    asyncio.run(send())


def by_httpx(url, body, headers):
    httpx.post(url, content=body, headers=headers, trust_env=False)


def by_urllib(url, body, headers):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(urllib.error.HTTPError):
        opener.open(urllib.request.Request(url, body, headers), timeout=20)  # noqa: S310 - http only


def by_urllib3(url, body, headers):
    urllib3.PoolManager().request("POST", url, body=body, headers=headers, retries=False)


@pytest.mark.parametrize("send", [by_aiohttp, by_httpx, by_urllib, by_urllib3])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("make_id", [new_id, foreign_id])
def test_events_of_a_batch_are_sent_each_by_itself(
    service, web_server, monkeypatch, send, size, make_id
):
    sent, came = [make(make_id=make_id) for _ in range(size)], []

    async def refuse(request):
        came.append((await request.body(), request.headers.get("traceparent")))
        return Response(status_code=503)

    web_server.site.application = Starlette(routes=[Route("/orders", refuse, methods=["POST"])])
    web_server.site.passed = 0
    monkeypatch.setattr(web_server.site, "between", service.forget)  # as another process
    body = json.dumps([cloud_event(each) for each in sent]).encode()
    send(f"{web_server.address}/orders", body, {"Content-Type": BATCH})
    web_server.site.wait(1)
    # Headers are of the request: they cannot say where each of several stands.
    ((got, traceparent),) = came
    assert got == body
    assert (traceparent is None) is (size > 1)
    ids = [each.id for each in sent]
    records = [(r.envelope.id, r.channel, r.recorded_by) for r in service.envelopes()]
    assert records[:size] == [(each, "/orders", "sender") for each in ids]
    # Who gets them has not heard that they are recorded.
    assert records[size:] == [(each, "/orders", "receiver") for each in ids if size > 1]
    assert sorted(failed(service)) == sorted([(each, "503") for each in ids] * 2)
    (handling,) = service.spans("process")
    stands_at = links(handling) if size > 1 else [parent(handling)]
    assert stands_at == [span_spot(span) for span in service.spans("send")]


@EACH
def test_batch_that_is_none_is_the_applications_to_refuse(service, post, framework):
    for body in (b"[", b"{}", b"[1, 2", b"[]"):
        assert post(framework, lambda body: (body or b"-", "text/plain"), body, BATCH) == body
    assert (service.spans(), service.records) == ([], [])


@EACH
def test_attributes_of_a_cloud_event_may_be_headers(service, post, framework):
    sent = make()
    headers = {
        "ce-specversion": "1.0",
        "ce-id": sent.id,
        "ce-source": "/shop",
        "ce-type": "PlaceOrder",
    }
    post(framework, lambda body: (body, "text/plain"), b"\x00\x01", "image/png", **headers)
    (delivery,) = service.deliveries()
    assert (delivery.envelope.id, delivery.envelope.type) == (sent.id, "PlaceOrder")


@STREAMING
def test_server_sent_events_are_sent_one_by_one(service, post, framework):
    placed = make()
    results = [follow(placed.body), follow(placed.body)]
    stream = [
        b": hello\n\n",
        b"event: placed\nid: 1\ndata: " + results[0].body[:9],
        results[0].body[9:] + b"\r",
        b"\n\r\nda",
        b"ta:" + results[1].body + b"\n",
        b"\n",
        b"data: 7\n\ndata: {}\n\n",
    ]
    assert post(framework, lambda _: (iter(stream), STREAM), b"", "") == b"".join(stream)
    assert [span.name for span in service.spans()] == ["send /orders"] * 2
    assert [record.envelope.id for record in service.envelopes()] == [e.id for e in results]
    assert {parent(span) for span in service.spans()} == {placed.spot}


@STREAMING
def test_server_sent_events_of_a_command_are_its_results(service, post, framework):
    placed = make()
    result = follow(placed.body)
    stream = [b"data: " + result.body + b"\n\n"]
    post(framework, lambda _: (iter(stream), STREAM), placed.body)
    (handling,) = service.spans("process")
    (span,) = service.spans("send")
    assert span_spot(handling) in [parent(span), *links(span)]


def cloud_event(sent):
    return {
        "specversion": "1.0",
        "id": sent.id,
        "source": "/shop",
        "type": sent.type,
        "data": {"order": 7},
    }
