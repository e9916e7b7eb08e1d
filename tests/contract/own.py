"""Frameworks with servers of their own, behind the edge of the contract's."""

from __future__ import annotations

import asyncio
import contextvars
import threading

from contextlib import contextmanager

import httpx

from opentelemetry.instrumentation.utils import suppress_instrumentation

from tests.contract.exchange import Exchange


HOP_BY_HOP = (b"connection", b"content-length", b"date", b"server", b"transfer-encoding")


class OwnExchange(Exchange):
    """
    As `Exchange`, for an application that ``serve`` serves for as long as it is driven.

    Args:
        serve: An asynchronous context manager from an application to the port that it listens on.
    """

    def __init__(self, features, server, reads, application, serve):
        super().__init__(features, server, reads, application)
        self.serve = serve

    async def drive(self, handlers, start, count):
        site = self.server.site
        with in_thread(self.serve, self.application(self.reads, handlers)) as port:
            site.application = forwarding_to(port)
            site.passed = 0
            await start()
            site.wait(count)


@contextmanager
def in_thread(serve, application):
    """Serve in a thread with a loop of its own; the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = serve(application)

    def wait(coroutine):
        # In a context of its own: what is current here is not current in a server elsewhere.
        context = contextvars.Context()
        return context.run(asyncio.run_coroutine_threadsafe, coroutine, loop).result(20)

    try:
        yield wait(serving.__aenter__())
        wait(serving.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def forwarding_to(port):
    """An ASGI application that passes requests on, unseen by otelope."""

    async def forward(scope, receive, send):
        body, more = b"", True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        with suppress_instrumentation():
            async with httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(verify=False), timeout=20
            ) as client:
                answer = await client.request(
                    scope["method"],
                    f"http://127.0.0.1:{port}{scope['path']}",
                    content=body,
                    headers=[pair for pair in scope["headers"] if pair[0] != b"content-length"],
                )
        kept = [pair for pair in answer.headers.raw if pair[0].lower() not in HOP_BY_HOP]
        start = {"type": "http.response.start", "status": answer.status_code, "headers": kept}
        await send(start)
        await send({"type": "http.response.body", "body": answer.content})

    return forward
