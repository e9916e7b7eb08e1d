"""urllib3, and requests on it, against a real server."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
import urllib3

from otelope.testing import Features
from tests.contract.exchange import Exchange
from tests.contract.web import NOWHERE


SERVERS = ("web_server",)
_REQUEST = Features("http", nested=True, raises=False)
STYLES = {"pool": _REQUEST, "requests": _REQUEST, "session": _REQUEST}


class Driver(Exchange):
    def __init__(self, style, server):
        super().__init__(STYLES[style], server, "fastapi sync")
        self.style = style

    def request(self, address, channel, body, headers):
        content = "body" if self.style == "pool" else "data"
        return {
            "method": "POST",
            "url": address + self.destination(channel),
            content: body,
            "headers": {**headers, "content-type": "application/json"},
        }

    def elsewhere(self, call):
        return {**call, "url": NOWHERE + urlsplit(call["url"]).path}

    async def send_one(self, call, *, positional):
        if self.style == "pool":
            with urllib3.PoolManager(retries=False) as pool:
                if positional:  # method, url, body, fields, headers
                    pool.request(call["method"], call["url"], call["body"], None, call["headers"])
                else:
                    pool.request(**call)
            return
        self._request(dict(call), positional=positional)

    def _request(self, call, *, positional):
        first = (call.pop("method"), call.pop("url")) if positional else ()
        with requests.Session() as session:
            if self.style == "requests":
                requests.request(*first, **call, timeout=20)
            elif positional:  # method, url, params, data, headers
                session.request(*first, None, call["data"], call["headers"], timeout=20)
            else:
                session.request(**call, timeout=20)
