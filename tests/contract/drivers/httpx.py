"""HTTPX against a real server: the sync and the async client."""

from __future__ import annotations

from dataclasses import replace

from otelope.testing import Features
from tests.contract.exchange import Exchange


SERVERS = ("web_server",)
_REQUEST = Features("http", nested=True, raises=False)
STYLES = {"sync": _REQUEST, "async": replace(_REQUEST, asynchronous=True)}


class Driver(Exchange):
    def __init__(self, style, server):
        # The sync client would block the loop of an asynchronous endpoint on the same server.
        reads = "fastapi" if style == "async" else "fastapi sync"
        super().__init__(STYLES[style], server, reads)
