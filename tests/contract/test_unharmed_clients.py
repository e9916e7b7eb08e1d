"""HTTP clients send the same bytes with and without otelope, but for what it adds."""

from __future__ import annotations

import pytest
import requests
import urllib3

from requests.adapters import HTTPAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelope import instrumentor
from otelope.core.guard import guard
from otelope.testing.messages import make
from tests.contract.unharmed.clients import CLIENTS, JSON, LOOKED_AT, Sends, envelopes
from tests.contract.unharmed.recording import Recording
from tests.service import told


# Each after the first time: a redirect, an attempt that fails and one that does not, two of three.
AGAIN = ["redirect", "retry", "retry", "pool", "pool"]


@pytest.fixture(scope="module")
def recording():
    server = Recording()
    yield server
    server.stop()


@pytest.mark.parametrize(("name", "play"), CLIENTS.items(), ids=CLIENTS.keys())
def test_client_sends_and_gets_the_same_with_and_without_otelope(name, play, recording, service):
    swallowed = guard.total
    sends = Sends(recording, envelopes())
    instrumentor.uninstrument()
    without, sent, connections = list(play(sends)), *recording.taken()
    service.instrument()
    assert list(play(sends)) == without
    assert recording.taken() == (sent, connections)
    assert connections == (len(sent) if name == "urllib" else 1)
    assert guard.total == swallowed
    # One envelope each, however often it was sent. `urllib` has bytes only.
    known = {sent.id: each for each, sent in sends.sent.items()}
    first = [each for each in LOOKED_AT if name != "urllib" or each not in ("json", "text")]
    assert [known[record.envelope.id] for record in service.envelopes()] == first
    # aiohttp's redirects are a part of the sending.
    again = [known[record.envelope.id] for record in service.done()]
    assert again == (AGAIN[1:] if name == "aiohttp" else AGAIN)


def test_what_is_retried_and_redirected_is_one_envelope_with_several_deliveries(
    web_server, service
):
    retried, moved = make(), make()
    asked = []

    async def busy(request: Request):
        asked.append(await request.body())
        return Response(status_code=503 if len(asked) == 1 else 204)

    async def old(request: Request):
        await request.body()
        return Response(status_code=307, headers={"location": "/new"})

    async def new(request: Request):
        return Response(await request.body())

    paths = {"/busy": busy, "/old": old, "/new": new}
    web_server.site.application = Starlette(
        routes=[Route(path, each, methods=["POST"]) for path, each in paths.items()]
    )
    retries = urllib3.Retry(1, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries))
        address = web_server.address
        session.post(f"{address}/busy", data=retried.body, headers=JSON, timeout=20)
        answer = session.post(f"{address}/old", data=moved.body, headers=JSON, timeout=20)
    assert answer.content == moved.body
    assert asked == [retried.body] * 2
    web_server.site.wait(0)
    assert [record.envelope.id for record in service.envelopes()] == [retried.id, moved.id]
    assert told(service) == [
        (retried.id, "error", "503"),
        (retried.id, "ok", None),
        (moved.id, "ok", None),
        (moved.id, "ok", None),
    ]
    assert not service.orphans()
