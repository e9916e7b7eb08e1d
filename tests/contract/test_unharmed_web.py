"""Applications of every web framework see and answer the same with and without otelope."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import tracemalloc

import pytest

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.core.settings import Settings
from otelope.testing.messages import make
from tests.contract.unharmed.cases import CASES, MALFORMED, Case, fifty_megabytes
from tests.contract.unharmed.serving import FRAMEWORKS, served
from tests.contract.unharmed.watching import PATIENCE


# Bottle and WebOb leave the files that they copy larger bodies to for the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

CAP = Settings.max_body_bytes
MEGABYTE = 1 << 20
# One of ASGI, one of WSGI, one with a server of its own.
ONE_OF_EACH = ("starlette", "flask", "aiohttp")
# Those whose handlers say that they receive a body in parts.
IN_PARTS = ("tornado", "sanic", "sanic ASGI")


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS.keys())
def test_application_and_client_see_the_same_with_and_without_otelope(framework, service):
    swallowed = guard.total
    instrumentor.uninstrument()
    with served(framework) as serving:
        without = {name: serving.play(case) for name, case in CASES.items()}
    service.instrument()
    delivered = set()
    with served(framework) as serving:
        for name, case in CASES.items():
            assert serving.play(case) == without[name], name
            assert case.says in without[name].client, name
            if case.id in {delivery.envelope.id for delivery in service.deliveries()}:
                delivered.add(name)
            service.clear()
    # What is the same because nothing was seen would prove nothing.
    expected = {name for name, case in CASES.items() if case.delivered}
    assert delivered == expected ^ framework.otherwise
    assert guard.total == swallowed


@pytest.mark.parametrize("name", [*ONE_OF_EACH, *IN_PARTS])
def test_fifty_megabytes_in_chunks_pass_in_flat_memory(name, service):
    instrumentor.uninstrument()
    without = peak(FRAMEWORKS[name])
    service.instrument()
    # Of what has no declared length, it keeps what may be an envelope until that is too much.
    assert peak(FRAMEWORKS[name]) < without + CAP + MEGABYTE < 20 * MEGABYTE


def test_body_in_small_parts_takes_no_more_memory_than_it_is_long(service):
    service.instrument()
    body = make(text="-" * 200_000).body
    # Not single bytes, of which the interpreter has each once.
    places = iter(range(2, len(body) + 2, 2))
    took = 0

    async def endpoint(request):
        nonlocal took
        before = tracemalloc.get_traced_memory()[0]
        async for _ in request.stream():
            took = max(took, tracemalloc.get_traced_memory()[0] - before)
        return Response()

    async def receive():
        end = next(places)
        part = body[end - 2 : end]
        return {"type": "http.request", "body": part, "more_body": end < len(body)}

    async def send(_): ...

    application = Starlette(routes=[Route("/orders", endpoint, methods=["POST"])])
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/orders", "headers": headers}
    with traced():
        asyncio.run(application({**scope, "query_string": b""}, receive, send))
    assert len(service.deliveries()) == 1
    assert took < 3 * len(body)


def peak(framework):
    """Bytes that were in use at once."""
    with served(framework) as serving, traced():
        seen = serving.play(Case(fifty_megabytes, b""))
        assert ("read", 50 * MEGABYTE) in seen.application
        return tracemalloc.get_traced_memory()[1]


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_malformed_bodies_leave_nothing_behind(name, service):
    def play_all(times):
        for _ in range(times):
            for case in MALFORMED:
                serving.play(case)
                service.clear()
        # Those of a server that has one for each connection, by the standard library's name.
        for thread in threading.enumerate():
            if "process_request" in thread.name:
                thread.join(PATIENCE)
        gc.collect()

    with served(FRAMEWORKS[name]) as serving, traced():
        play_all(2)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        play_all(4)
        after, highest = tracemalloc.get_traced_memory()
    # The largest of them are of 200 kB, and a gigabyte is declared; Werkzeug takes 10 MB at once
    # to skip what was not read.
    assert after - before < 100_000
    assert highest - before < 20 * MEGABYTE


@contextlib.contextmanager
def traced():
    measuring = threading.gettrace()
    # coverage keeps 1.6 kB for each thread that it measures; a server may have one a connection.
    threading.settrace(None)
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()
        threading.settrace(measuring)
