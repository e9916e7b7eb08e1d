"""WebSockets, background tasks, mounted applications and lifespans are as they were."""

from __future__ import annotations

import contextlib

from functools import partial
from importlib.metadata import version
from typing import NamedTuple

import pytest

from aiohttp import web
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.testing.messages import make
from tests.contract.drivers import sanic, tornado
from tests.contract.own import in_thread
from tests.contract.unharmed import around, own
from tests.contract.unharmed.around import Around
from tests.contract.unharmed.cases import head
from tests.contract.unharmed.endpoints import RefusedError
from tests.contract.unharmed.serving import by_itself, fence, on_uvicorn, on_werkzeug
from tests.contract.unharmed.watching import PATIENCE, Client


class Framework(NamedTuple):
    """
    A framework, and what of it is played.

    Args:
        make: The application, given what it does.
        serve: Serves it, given the log, on the port that its context manager gives.
        plays: What is played.
        fails: Whether what a handler of WebSockets raises does not leave the client waiting.
    """

    make: object
    serve: object
    plays: tuple
    fails: bool = True


SENT = {name: make() for name in ("text", "bytes", "leave", "background", "mounted")}
SENT["fail"] = make("RefuseOrder")
DEEP = b'{"id": "7", "type": "Deep", "payload": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def talk(path, *messages, leave=False):
    """What is answered to these, and with which code the server closes."""

    def play(port, log):
        heard = []
        address = f"ws://127.0.0.1:{port}/{path}"
        with connect(address, compression=None, max_size=None, proxy=None) as socket:
            try:
                for message in messages:
                    socket.send(message if path == "bytes" else message.decode())
                    heard.append(socket.recv(PATIENCE))
            except ConnectionClosed as closed:
                heard.append(closed.rcvd and (closed.rcvd.code, closed.rcvd.reason))
            if leave:
                socket.close(1001, "tired")
        return heard

    return play


def background(port, log):
    """It has its answer before the work is done."""
    heard = _asked(port, "background", SENT["background"].body)
    log.release()
    log.wait_for("worked")
    return heard


def mounted(port, log):
    return _asked(port, "shops/7/orders/3", SENT["mounted"].body)


def _asked(port, path, body):
    client = Client(port)
    with contextlib.closing(client):
        client.send(head(path, length=len(body)), body)
        client.answer()
    return client.seen()


TALKS = {
    "text": talk("text", SENT["text"].body, b"hello", DEEP, b"[1, 2", b"", b"bye"),
    "bytes": talk("bytes", SENT["bytes"].body, b"\xff\xfe{", DEEP, b"[" * (2 << 20), b"bye"),
    "leave": talk("text", SENT["leave"].body, leave=True),
    "fail": talk("text", b"hello", SENT["fail"].body),
}
ECHOED = {"text": "/text", "bytes": "/bytes", "leave": "/text"}
PLAYS = {**TALKS, "background": background, "mounted": mounted}
LIVING = partial(on_uvicorn, lifespan="on")
FRAMEWORKS = {
    "starlette": Framework(around.starlette, LIVING, tuple(PLAYS)),
    "fastapi": Framework(around.fastapi_application, LIVING, tuple(PLAYS)),
    "litestar": Framework(around.litestar_application, LIVING, (*TALKS, "background")),
    "quart": Framework(around.quart_application, LIVING, (*TALKS, "background")),
    "falcon ASGI": Framework(around.falcon_application, LIVING, (*TALKS, "background")),
    "aiohttp": Framework(around.aiohttp_application, by_itself(own.serve_aiohttp), tuple(PLAYS)),
    "tornado": Framework(
        around.tornado_application, by_itself(tornado.serve), (*TALKS, "background"), fails=False
    ),
    # With the websockets of today 23.3 closes each at once.
    "sanic": Framework(
        around.sanic_application,
        by_itself(sanic.serve),
        ("background",) if version("sanic") < "23.4" else (*TALKS, "background"),
    ),
    "flask": Framework(around.flask_application, on_werkzeug, ("mounted",)),
    "bottle": Framework(around.bottle_application, on_werkzeug, ("mounted",)),
}


def all_seen(framework, doing):
    """What clients heard and what the application noted, by play; and around all of them."""
    log, seen = doing.log, {}
    with log.listening():
        with framework.serve(framework.make(doing), log) as port:
            fence(port)
            seen["before"] = log.taken()
            for name in framework.plays:
                heard = PLAYS[name](port, log)
                fence(port)
                log.settle()
                seen[name] = heard, log.taken()
        seen["after"] = log.taken()
    return seen


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS.keys())
def test_what_stands_around_handlers_is_the_same_with_and_without_otelope(framework, service):
    swallowed = guard.total
    instrumentor.uninstrument()
    without = all_seen(framework, Around())
    service.instrument()
    doing = Around()
    seen = all_seen(framework, doing)
    for name, each in without.items():
        assert seen[name] == each, name
    assert guard.total == swallowed
    known = {sent.id: name for name, sent in SENT.items()}
    told = [(known[each.envelope.id], each.error_type) for each in service.deliveries()]
    failures = {"fail": f"{RefusedError.__module__}.RefusedError"} if framework.fails else {}
    assert told == [(name, failures.get(name)) for name in framework.plays]
    talks = [name for name in framework.plays if name in TALKS]
    assert [known[each] for each in doing.handled if each is not None] == talks
    # What is answered is the same message, which the application sends again.
    again = [each for each in service.done() if each.operation == "send"]
    assert [(known[each.envelope.id], each.channel) for each in again] == [
        each for each in ECHOED.items() if each[0] in framework.plays
    ]


def test_what_a_websocket_is_sent_from_elsewhere_is_a_sending(service):
    sent, listening = make("OrderPlaced"), []

    async def listen(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        listening.append(socket)
        return await socket.receive() and socket

    async def tell(request):
        for socket in listening:
            await socket.send_str(sent.body.decode())
        return web.Response()

    application = web.Application()
    application.router.add_get("/listen", listen)
    application.router.add_post("/tell", tell)
    with (
        in_thread(own.serve_aiohttp, application) as port,
        connect(f"ws://127.0.0.1:{port}/listen", compression=None, proxy=None) as socket,
    ):
        fence(port)
        client = Client(port)
        with contextlib.closing(client):
            client.send(head("tell", length=0))
            assert client.answer() == 200
        assert socket.recv(PATIENCE) == sent.body.decode()
    assert [record.envelope.id for record in service.envelopes()] == [sent.id]
    assert [(span.name, span.kind.name) for span in service.spans()] == [
        ("send OrderPlaced", "PRODUCER")
    ]
