"""Starlette and FastAPI behind a real server and in the caller's task, every way to read."""

from __future__ import annotations

from dataclasses import replace

from otelope.testing import Features
from tests.contract.exchange import Exchange


SERVERS = ("web_server",)
_SERVED = Features("http", nested=True, raises=False, asynchronous=True)
_IN_PROCESS = replace(_SERVED, in_sender=True, raises=True)
STYLES = {
    "json": _SERVED,
    "body": _SERVED,
    "stream": _SERVED,
    "middleware": _SERVED,
    "background": _SERVED,
    "mounted": _SERVED,
    "fastapi": _SERVED,
    "fastapi sync": replace(_SERVED, asynchronous=False),
    "in process": _IN_PROCESS,
    "in process fastapi": _IN_PROCESS,
}


class Driver(Exchange):
    def __init__(self, style, server):
        features = STYLES[style]
        super().__init__(features, server, style.removeprefix("in process").strip() or "body")
