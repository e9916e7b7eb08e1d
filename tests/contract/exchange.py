"""Requests between HTTPX and Starlette: both of their drivers."""

from __future__ import annotations

import httpx

from otelope.testing import run_inline
from otelope.testing.driver import run_in_loop
from tests.contract.web import NOWHERE, application


class Exchange:
    """
    Sends with HTTPX what a Starlette application receives.

    Args:
        features: ``in_sender`` without a server between, ``asynchronous`` by the async client.
        server: A `tests.contract.web.Server`.
        reads: How the application reads requests.
    """

    def __init__(self, features, server, reads):
        self.features = features
        self.server = server
        self.reads = reads
        self.run = run_in_loop if features.asynchronous else run_inline
        self.prefix = "/shop" if reads == "mounted" else ""

    @property
    def between(self):
        return self.server.site.between

    @between.setter
    def between(self, call):
        self.server.site.between = call

    def destination(self, channel):
        return f"{self.prefix}/{channel}"

    def call(self, channel, body, headers):
        return {"request": self._request(self.server.address, channel, body, headers)}

    def _request(self, address, channel, body, headers):
        url = address + self.destination(channel)
        return httpx.Request(
            "POST", url, content=body, headers={**headers, "content-type": "application/json"}
        )

    async def send(self, *calls, positional=False):
        for call in calls:
            await self._send(call, positional=positional)

    async def _send(self, call, *, positional):
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
        request = self._request(f"{self.server.address}/bare", channel, body, {})
        await self.send({"request": request})

    async def send_in_vain(self, call):
        if self.features.in_sender:
            self.server.site.application = _broken
            await self.send(call)
        request = call["request"]
        url = NOWHERE + request.url.path
        await self.send(
            {
                "request": httpx.Request(
                    "POST", url, content=request.content, headers=request.headers
                )
            }
        )

    async def drive(self, handlers, start, count):
        site = self.server.site
        site.application = application(self.reads, handlers)
        site.passed = 0
        await start()
        site.wait(count)

    def _transport(self):
        if self.features.in_sender:
            return httpx.ASGITransport(app=self.server.site)
        # Without TLS there is nothing to verify; loading the certificates takes 20 ms.
        if self.features.asynchronous:
            return httpx.AsyncHTTPTransport(verify=False)
        return httpx.HTTPTransport(verify=False)


async def _broken(scope, receive, send):
    raise ConnectionError("the application is down")
