"""Requests from HTTPX to a web framework: the drivers of all of them."""

from __future__ import annotations

import contextlib

import httpx

from otelope.testing import run_inline
from otelope.testing.driver import run_in_loop
from tests.contract.web import NOWHERE, application


class Exchange:
    """
    Sends with HTTPX what an application receives.

    Args:
        features: ``in_sender`` without a server between, ``asynchronous`` by the async client.
        server: A `tests.contract.web.Server`, or as `tests.contract.wsgi.Server`.
        reads: How the application reads requests.
        application: Makes it, given that and the handlers by channel.
    """

    def __init__(self, features, server, reads, application=application):
        self.features = features
        self.server = server
        self.reads = reads
        self.application = application
        self.run = run_in_loop if features.asynchronous else run_inline
        self.prefix = "/shop" if reads == "mounted" else ""
        # The server is that of all tests: not what another one has left there.
        self.between = lambda: None

    @property
    def between(self):
        return self.server.site.between

    @between.setter
    def between(self, call):
        self.server.site.between = call

    def destination(self, channel):
        return f"{self.prefix}/{channel}"

    def call(self, channel, body, headers):
        return self.request(self.server.address, channel, body, headers)

    def request(self, address, channel, body, headers):
        """The arguments, by name, of the client's call that sends this there."""
        url = address + self.destination(channel)
        headers = {**headers, "content-type": "application/json"}
        return {"request": httpx.Request("POST", url, content=body, headers=headers)}

    def elsewhere(self, call):
        """The same call to where nobody is."""
        sent = call["request"]
        url = NOWHERE + sent.url.path
        made = httpx.Request("POST", url, content=sent.content, headers=sent.headers)
        return {"request": made}

    async def send(self, *calls, positional=False):
        for call in calls:
            await self.send_one(call, positional=positional)

    async def send_one(self, call, *, positional):
        # A server breaks off what an application has begun to answer when it failed.
        with contextlib.suppress(httpx.RemoteProtocolError):
            await self._send_one(call, positional=positional)

    async def _send_one(self, call, *, positional):
        transport = self._transport()
        if self.features.asynchronous:
            async with httpx.AsyncClient(transport=transport) as client:
                if positional:
                    await client.send(call["request"])
                else:
                    await (await transport.handle_async_request(**call)).aread()
        else:
            with httpx.Client(transport=transport) as client:
                if positional:
                    client.send(call["request"])
                else:
                    transport.handle_request(**call).read()

    async def send_bare(self, channel, body):
        await self.send(self.request(f"{self.server.address}/bare", channel, body, {}))

    async def send_in_vain(self, call):
        if self.features.in_sender:
            self.server.site.application = _broken if self.features.asynchronous else _down
            await self.send(call)
        await self.send(self.elsewhere(call))

    async def drive(self, handlers, start, count):
        site = self.server.site
        site.application = self.application(self.reads, handlers)
        site.passed = 0
        await start()
        site.wait(count)

    def _transport(self):
        if self.features.in_sender:
            made = httpx.ASGITransport if self.features.asynchronous else httpx.WSGITransport
            return made(app=self.server.site)
        # Without TLS there is nothing to verify; loading the certificates takes 20 ms.
        if self.features.asynchronous:
            return httpx.AsyncHTTPTransport(verify=False)
        return httpx.HTTPTransport(verify=False)


async def _broken(scope, receive, send):
    raise ConnectionError("the application is down")


def _down(environ, start_response):
    raise ConnectionError("the application is down")
