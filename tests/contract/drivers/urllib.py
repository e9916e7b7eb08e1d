"""`urllib.request` against a real server."""

from __future__ import annotations

import urllib.request

from contextlib import suppress
from urllib.error import HTTPError
from urllib.parse import urlsplit

from otelope.testing import Features
from tests.contract.exchange import Exchange
from tests.contract.web import NOWHERE


SERVERS = ("web_server",)
_REQUEST = Features("http", nested=True, raises=False)
STYLES = {"urlopen": _REQUEST, "opener": _REQUEST}


class Driver(Exchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, "fastapi sync")
        self.open = urllib.request.urlopen if style == "urlopen" else _opener().open

    def request(self, address, channel, body, headers):
        headers = {**headers, "content-type": "application/json"}
        return {"url": address + self.destination(channel), "data": body, "headers": headers}

    def elsewhere(self, call):
        return {**call, "url": NOWHERE + urlsplit(call["url"]).path}

    async def send_one(self, call, *, positional):
        request = urllib.request.Request(**call, method="POST")  # noqa: S310 - http only
        # It raises what other clients answer.
        with suppress(HTTPError), self.open(request) as answer:
            answer.read()


def _opener():
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))
