"""Requests of which contrib makes a span: what is sent meanwhile, what fails, what is mounted."""

from __future__ import annotations

import contextvars

from functools import partial

import httpx
import pytest

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.trace import SpanKind, StatusCode
from starlette import applications
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.sync.client import connect

import otelope

from otelope.model.identity import identify, new_id
from otelope.testing.messages import follow, foreign_id, make, new_channel
from otelope.testing.scenario import ignore
from otelope.testing.spans import is_ours, links, parent, span_spot
from tests.contract.test_beside_contrib import CASES, switches


# One of each kind of site, and contrib's instrumentation of it.
SERVERS = {
    "starlette body": "starlette:StarletteInstrumentor",
    "flask data": "flask:FlaskInstrumentor",
    "tornado body": "tornado:TornadoInstrumentor",
    "tornado parts": "tornado:TornadoInstrumentor",
}
every_server = pytest.mark.parametrize("name", SERVERS)
REQUEST = b'{"order": 7}'


@pytest.fixture
def driver(name, request):
    return CASES[name].make(request)


@pytest.fixture
def contrib(name, driver, service):
    on, off = switches(SERVERS[name], driver, service.provider)
    on()
    yield
    off()


def minted_here(_):
    return otelope.new_id()


def serve(driver, *make_ids):
    """Serve a request by sending an event for each way to make ids, which are handled; these."""
    channel, made = new_channel(), []

    async def publish(_):
        made.extend(make("OrderPlaced", make_id=each) for each in make_ids)
        for each in made:
            await driver.send(driver.call(f"{channel}x", each.body, {}))

    async def start():
        await driver.send(driver.call(channel, REQUEST, {}))

    handlers = {channel: publish, f"{channel}x": ignore}
    scenario = partial(driver.drive, handlers, start, 1 + len(make_ids))
    contextvars.Context().run(lambda: driver.run(scenario()))
    return made


def in_their_order(service, made):
    """Of each event the span of its sending and that of its handling."""
    spans = {
        (span.attributes["otelope.envelope.id"], span.attributes["messaging.operation.name"]): span
        for span in service.spans()
    }
    assert len(spans) == 2 * len(made)
    return [(spans[each.id, "send"], spans[each.id, "process"]) for each in made]


@every_server
def test_events_are_in_the_tree_of_their_request_or_linked_with_it(name, driver, service, contrib):
    made = serve(driver, minted_here, foreign_id, new_id)
    (here, _), (foreign, _), (elsewhere, _) = in_their_order(service, made)
    theirs = [span for span in service.all_spans() if not is_ours(span)]
    (request,) = [s for s in theirs if s.kind is SpanKind.SERVER and parent(s) is None]
    # As whose child they are made: the application's endpoint, or the request as such.
    assert parent(here) == parent(foreign) == span_spot(request)
    assert span_spot(here) == made[0].spot
    assert span_spot(foreign).span_id == made[1].spot.span_id
    assert links(here) == links(foreign) == []
    # An id names its lineage, and that is another one.
    assert (parent(elsewhere), span_spot(elsewhere)) == (None, made[2].spot)
    assert links(elsewhere) == [span_spot(request)]
    assert links(request) == [span_spot(elsewhere)]
    assert service.shapes() == [["OrderPlaced", "  process OrderPlaced"]] * 3
    assert service.orphans() == []


@every_server
def test_without_an_instrumentation_of_it_a_request_has_no_span_and_its_events_are_roots(
    name, driver, service
):
    made = serve(driver, minted_here, foreign_id, new_id)
    for each, (sent, handled) in zip(made, in_their_order(service, made), strict=True):
        assert (parent(sent), span_spot(sent), links(sent)) == (None, each.spot, [])
        assert parent(handled) == each.spot
    assert all(map(is_ours, service.all_spans()))
    assert identify(made[0].id).trace_id != identify(made[2].id).trace_id


@every_server
def test_what_a_handler_raises_is_told_by_theirs_and_by_ours(name, driver, service, contrib):
    channel, command = new_channel(), make()

    async def refuse(_):
        raise LookupError("no such order")

    async def start():
        await driver.send(driver.call(channel, command.body, {}))

    contextvars.Context().run(lambda: driver.run(driver.drive({channel: refuse}, start, 1)))
    (handled,) = service.deliveries()
    assert (handled.outcome, handled.error_type) == ("error", "LookupError")
    (request,) = [s for s in service.all_spans() if s.kind is SpanKind.SERVER]
    (process,) = service.spans("process")
    assert (parent(process), process.kind) == (span_spot(request), SpanKind.INTERNAL)
    assert request.status.status_code == process.status.status_code == StatusCode.ERROR


def test_message_of_a_websocket_is_handled_once_where_an_application_is_mounted(
    web_server, service
):
    command, event = make(), None

    async def endpoint(socket):
        nonlocal event
        await socket.accept()
        event = follow(await socket.receive_bytes())
        await socket.send_bytes(event.body)
        await socket.receive()

    on, off = switches("starlette:StarletteInstrumentor", None, service.provider)
    on()
    try:
        mounted = applications.Starlette(routes=[WebSocketRoute("/orders", endpoint)])
        web_server.site.application = applications.Starlette(routes=[Mount("/shop", mounted)])
        web_server.site.passed = 0
        with connect(f"{web_server.address.replace('http', 'ws')}/shop/orders") as socket:
            socket.send(command.body)
            assert socket.recv() == event.body
        web_server.site.wait(1)
    finally:
        off()
    assert service.shapes() == [["process PlaceOrder", "  OrderPlaced"]]
    assert [each.envelope.id for each in service.deliveries()] == [command.id]


class Reading:
    """A middleware that reads the body before the application does."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        event = await receive()
        assert not event["more_body"]

        async def again():
            return event

        await self.app(scope, again, send)


def test_body_that_a_middleware_within_theirs_reads_is_handled_once_by_what_stands_within_that(
    web_server, service
):
    command, handled = make(), []

    async def endpoint(request):
        await request.body()
        handled.append(otelope.current().id)
        return Response()

    inner = Reading(applications.Starlette(routes=[Route("/orders", endpoint, methods=["POST"])]))
    theirs = OpenTelemetryMiddleware(inner, tracer_provider=service.provider)
    web_server.site.application = applications.Starlette(routes=[Mount("/shop", theirs)])
    headers = {"content-type": "application/json"}
    httpx.post(f"{web_server.address}/shop/orders", content=command.body, headers=headers)
    assert handled == [command.id]
    assert service.shapes() == [["PlaceOrder", "  process PlaceOrder"]]
    assert [each.outcome for each in service.deliveries()] == ["ok"]
