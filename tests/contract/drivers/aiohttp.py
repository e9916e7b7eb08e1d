"""The client of aiohttp against a real server."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp

from otelope.testing import Features
from tests.contract.exchange import Exchange
from tests.contract.web import NOWHERE


SERVERS = ("web_server",)
_REQUEST = Features("http", nested=True, raises=False, asynchronous=True)
STYLES = {"data": _REQUEST, "text": _REQUEST, "relative": _REQUEST}


class Driver(Exchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, "fastapi")
        self.style = style

    def request(self, address, channel, body, headers):
        return {
            "method": "POST",
            "url": address + self.destination(channel),
            "data": body.decode("utf-8", "surrogateescape") if self.style == "text" else body,
            "headers": {**headers, "content-type": "application/json"},
        }

    def elsewhere(self, call):
        return {**call, "url": NOWHERE + urlsplit(call["url"]).path}

    async def send_one(self, call, *, positional):
        base, url = None, call["url"]
        if self.style == "relative":
            parts = urlsplit(url)
            base, url = f"{parts.scheme}://{parts.netloc}", parts.path
        async with aiohttp.ClientSession(base) as session:
            if positional:
                answer = session.request(call["method"], url, **_rest(call))
            else:
                answer = session.request(method=call["method"], url=url, **_rest(call))
            async with answer as got:
                await got.read()


def _rest(call):
    return {"data": call["data"], "headers": call["headers"]}
