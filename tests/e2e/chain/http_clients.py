"""How a service of the chain sends over HTTP, by the name of the client library."""

from __future__ import annotations

import urllib.request

from collections.abc import Awaitable, Callable

import httpx


TIMEOUT_SECONDS = 30
HEADERS = {"content-type": "application/json"}

Post = Callable[[str, bytes], None]
PostAsync = Callable[[str, bytes], Awaitable[None]]


def by_httpx(url: str, body: bytes) -> None:
    with httpx.Client(verify=False, timeout=TIMEOUT_SECONDS) as client:  # noqa: S501 - no TLS
        client.post(url, content=body, headers=HEADERS).raise_for_status()


def by_requests(url: str, body: bytes) -> None:
    import requests

    requests.post(url, body, headers=HEADERS, timeout=TIMEOUT_SECONDS).raise_for_status()


def by_urllib3(url: str, body: bytes) -> None:
    import urllib3

    with urllib3.PoolManager(timeout=TIMEOUT_SECONDS) as pool:
        answer = pool.request("POST", url, body=body, headers=HEADERS)
        assert answer.status < 400, answer.data


def by_urllib(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, HEADERS)  # noqa: S310 - http only
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http only
        answer.read()


async def by_httpx_async(url: str, body: bytes) -> None:
    async with httpx.AsyncClient(verify=False, timeout=TIMEOUT_SECONDS) as client:  # noqa: S501 - no TLS
        (await client.post(url, content=body, headers=HEADERS)).raise_for_status()


async def by_aiohttp(url: str, body: bytes) -> None:
    import aiohttp

    timeout = aiohttp.ClientTimeout(TIMEOUT_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
        session.post(url, data=body, headers=HEADERS) as answer,
    ):
        await answer.read()


BLOCKING: dict[str, Post] = {
    "httpx": by_httpx,
    "requests": by_requests,
    "urllib3": by_urllib3,
    "urllib": by_urllib,
}
ASYNCHRONOUS: dict[str, PostAsync] = {"httpx": by_httpx_async, "aiohttp": by_aiohttp}
