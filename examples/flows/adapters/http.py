"""Services over HTTP: Starlette on uvicorn, and httpx."""

from __future__ import annotations

import os

from collections.abc import Callable

import httpx
import uvicorn

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from examples.flows.messages import Unreadable, read
from examples.flows.ports import Answer, Unavailable
from examples.flows.steps import reached
from otelope import Envelope


_SECONDS_TO_ANSWER = 30


def serve(path: str, handle: Callable[[Envelope], Answer]) -> None:
    """
    Take envelopes at a path of 127.0.0.1:PORT until the process is asked to end.

    What is no envelope is answered with 422, `Unavailable` with 503: trying again may help. What
    else *handle* raises is answered with 500.
    """

    async def post(request: Request) -> JSONResponse:
        body = await request.body()
        try:
            # In a thread: databases and brokers keep their caller waiting.
            answer = await run_in_threadpool(lambda: handle(read(body)))
        except Unreadable as error:
            answer = Answer(422, {"error": str(error)})
        except Unavailable as error:
            answer = Answer(503, {"error": str(error)})
        done = BackgroundTask(reached, f"client: {answer.status}")
        return JSONResponse(answer.body, answer.status, background=done)

    application = Starlette(
        routes=[Route(path, post, methods=["POST"])], exception_handlers={Exception: _failed}
    )
    uvicorn.run(application, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False)


async def _failed(_: Request, error: Exception) -> JSONResponse:
    # uvicorn closes the connection after an exception: a client must not use it again.
    return JSONResponse({"error": type(error).__name__}, 500, headers={"connection": "close"})


class HttpPeer:
    """The `Peer` at a URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Nothing here leaves the machine, so no proxy has a say in it.
        self._client = httpx.Client(trust_env=False, timeout=_SECONDS_TO_ANSWER)

    def post(self, envelope: Envelope) -> Answer:
        """See `Peer.post`."""
        headers = {"content-type": "application/json"}
        try:
            answer = self._client.post(self._url, content=envelope.to_json(), headers=headers)
        except httpx.TransportError as error:
            raise Unavailable(f"{self._url}: {error!r}") from error
        if answer.is_server_error:
            raise Unavailable(f"{self._url} answered {answer.status_code}")
        answer.raise_for_status()
        return Answer(answer.status_code, answer.json())
