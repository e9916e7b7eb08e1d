"""Bodies that handlers of Tornado and Sanic receive in parts: from where on they are handled."""

from __future__ import annotations

import contextlib
import gc
import uuid

import httpx
import pytest
import sanic
import tornado.web

from otelope import instrumentor
from otelope.core.exchange import Exchange
from otelope.testing.messages import make
from tests.contract.drivers import sanic as sanic_driver
from tests.contract.drivers import tornado as tornado_driver
from tests.contract.own import in_thread
from tests.contract.unharmed.cases import head
from tests.contract.unharmed.endpoints import RefusedError
from tests.contract.unharmed.serving import fence
from tests.contract.unharmed.watching import Client, Log
from tests.contract.web import NOWHERE
from tests.service import current, told


WHERE = ("before", "amid", "after")
JSON = {"content-type": "application/json"}


class Orders:
    """
    What the application does with a body, whatever its framework.

    Attributes:
        at: What it does at each place: before it is received, with each part, and after the last.
        handled: What is handled, by otelope's word, at each place.
    """

    def __init__(self):
        self.log = Log()
        self.at = {}
        self.handled = {place: [] for place in WHERE}

    async def does(self, place):
        self.handled[place].append(current())
        self.log.note(place)
        if place in self.at:
            await self.at[place]()


def on_tornado(orders):
    @tornado.web.stream_request_body
    class Handler(tornado.web.RequestHandler):
        async def prepare(self):
            await orders.does("before")

        async def data_received(self, chunk):
            await orders.does("amid")

        async def post(self):
            with orders.log.busy():
                await orders.does("after")

        def log_exception(self, *error):
            pass

    return tornado.web.Application([("/orders", Handler)])


def on_sanic(orders):
    made = sanic.Sanic(f"shop{uuid.uuid4().hex}", configure_logging=False)

    @made.post("/orders", stream=True)
    async def endpoint(request):
        await orders.does("before")
        part = await request.stream.read()
        # That it reads is what is not seen before it has.
        while request.stream.request_bytes_left:
            await orders.does("amid")
            part += await request.stream.read()
        with orders.log.busy():
            await orders.does("after")
        return sanic.raw(part)

    return made


FRAMEWORKS = {
    "tornado": (on_tornado, tornado_driver.serve),
    "sanic": (on_sanic, sanic_driver.serve),
}
every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


@pytest.fixture
def orders():
    return Orders()


@contextlib.contextmanager
def served(framework, orders):
    make_application, serve = FRAMEWORKS[framework]
    with orders.log.listening(), in_thread(serve, make_application(orders)) as port:
        yield port


def begin(port, orders, body):
    """A client that has sent a half, which the application has."""
    client, before = Client(port), orders.log.count("amid")
    client.send(head("orders", length=len(body)), body[:64])
    orders.log.wait_for("amid", before + 1)
    return client


def end(client, body):
    client.send(body[64:])
    answered = client.answer()
    client.close()
    return answered


def post(port, orders, body):
    return end(begin(port, orders, body), body)


@pytest.fixture
def kept():
    """The requests that something still has, of those that the test made."""
    earlier = _requests()

    def of_these():
        return [each for each in _requests() if all(each is not other for other in earlier)]

    return of_these


def _requests():
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is Exchange]


def sending(event):
    async def send():
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501 - no TLS
            with contextlib.suppress(httpx.ConnectError):
                await client.post(f"{NOWHERE}/orders", content=event.body, headers=JSON)

    return send


@every_framework
def test_what_is_sent_before_all_is_received_was_not_caused_by_it(framework, service, orders):
    command, events = make(), {place: make("OrderPlaced") for place in WHERE}
    orders.at = {place: sending(event) for place, event in events.items()}
    with served(framework, orders) as port:
        assert post(port, orders, command.body) in (200, 204)
    causes = {record.envelope.id: record.envelope.parent_id for record in service.envelopes()}
    assert causes == {
        command.id: None,
        events["before"].id: None,
        events["amid"].id: None,
        events["after"].id: command.id,
    }
    assert [each for each in told(service) if each[0] == command.id] == [(command.id, "ok", None)]


@every_framework
def test_requests_that_arrive_at_once_are_told_apart(framework, service, orders):
    sent = [make(), make(), make()]
    with served(framework, orders) as port:
        clients = [begin(port, orders, each.body) for each in sent]
        for client, each in reversed(list(zip(clients, sent, strict=True))):
            end(client, each.body)
        orders.log.settle()
    assert orders.handled["after"] == [each.id for each in reversed(sent)]
    assert {None, *orders.handled["before"], *orders.handled["amid"]} == {None}
    assert sorted(told(service)) == sorted((each.id, "ok", None) for each in sent)


@every_framework
def test_who_goes_away_amid_its_body_leaves_nothing_behind(framework, service, orders, kept):
    with served(framework, orders) as port:
        for _ in range(3):
            begin(port, orders, make().body).break_off()
            fence(port)
        orders.log.settle()
    assert not kept()
    assert (service.spans(), service.records, orders.handled["after"]) == ([], [], [])


@pytest.mark.parametrize("place", WHERE)
@every_framework
def test_exception_is_the_same_with_and_without_otelope(framework, place, service, orders, kept):
    async def refuse():
        raise RefusedError("out of stock")

    async def refuse_last():
        # The one that has the last part, as what was received may be whole by then.
        if len(orders.handled["amid"]) > 1:
            await refuse()

    orders.at = {place: refuse_last if (framework, place) == ("tornado", "amid") else refuse}
    command = make()

    def play():
        for notes in orders.handled.values():
            notes.clear()
        with served(framework, orders) as port, contextlib.closing(Client(port)) as client:
            client.send(head("orders", "Connection: close", length=len(command.body)))
            orders.log.wait_for("before")
            if place == "before":
                client.answer()
            with contextlib.suppress(ConnectionError):
                client.send(command.body[:64])
                if place != "before":
                    orders.log.wait_for("amid")
                client.send(command.body[64:])
            client.rest()
            fence(port)
            orders.log.settle()
        return client.seen(), orders.log.taken()

    instrumentor.uninstrument()
    without = play()
    service.instrument()
    assert play() == without
    error = f"{RefusedError.__module__}.{RefusedError.__name__}"
    assert told(service) == ([(command.id, "error", error)] if place == "after" else [])
    assert not kept()


def test_sanic_reads_once_however_often_it_is_instrumented_and_compiled(service, orders):
    def delivers(port):
        command = make()
        post(port, orders, command.body)
        orders.log.settle()
        return orders.handled["after"][-1] == command.id

    instrumentor.uninstrument()
    with served("sanic", orders) as port:
        assert not delivers(port)
        service.instrument()
        assert delivers(port)
        with served("sanic", orders) as another:
            assert delivers(another)
            instrumentor.uninstrument()
            assert not delivers(another)
            service.instrument()
            assert delivers(another)
        assert delivers(port)
    with served("sanic", orders) as port:
        assert delivers(port)
    assert len(service.deliveries()) == 5


def test_sanic_may_be_told_not_to_compile_what_it_runs(service, orders, monkeypatch):
    monkeypatch.setitem(FRAMEWORKS, "sanic", (_not_compiled, sanic_driver.serve))
    command = make()
    with served("sanic", orders) as port:
        post(port, orders, command.body)
        orders.log.settle()
    assert orders.handled["after"] == [command.id]


def _not_compiled(orders):
    made = on_sanic(orders)
    made.config.TOUCHUP = False
    return made


def test_of_what_tornado_itself_keeps_the_body_is_not_kept(service, orders, kept):
    @tornado.web.stream_request_body
    class Handler(tornado.web.RequestHandler):
        def data_received(self, chunk):
            orders.log.note("amid")

        def on_connection_close(self):
            """Not the base's, by which Tornado would end the handling."""
            orders.log.note("closed")

    command = make()
    application = tornado.web.Application([("/orders", Handler)])
    with orders.log.listening(), in_thread(tornado_driver.serve, application) as port:
        for _ in range(2):
            begin(port, orders, command.body).break_off()
        orders.log.wait_for("closed", 2)
        assert not [each for each in kept() if each.reading]
    assert (service.spans(), service.records) == ([], [])
