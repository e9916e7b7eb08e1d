"""Applications that send in all the ways of the HTTP clients."""

from __future__ import annotations

import asyncio
import io
import json
import urllib.request

from functools import partial
from typing import NamedTuple
from uuid import UUID

import aiohttp
import httpx
import requests
import urllib3

from requests.adapters import HTTPAdapter

from otelope.testing.messages import make
from tests.contract.unharmed.recording import Recording


JSON = {"Content-Type": "application/json"}
# Spelt and ordered as they are, one of them twice where a client can say so.
OWN = (("X-Order", "7"), ("content-type", "application/json"), ("x-Tenant", "a"), ("X-Empty", ""))
TWICE = (*OWN, ("X-Tag", "red"), ("X-Tag", "blue"))
BEYOND_LATIN = (*TWICE, ("X-Name", "Zo\u00eb \u2192"))  # which only aiohttp sends
# What is sent, each an envelope of its own; of those that are no bytes, otelope looks at none.
LOOKED_AT = ("json", "bytes", "text", "own headers", "redirect", "retry", "pool", "drip")
OTHERS = ("iterator", "iterator of known length", "file", "multipart", "form")


class Sends(NamedTuple):
    """
    What one application sends.

    Args:
        server: Where to.
        sent: The envelopes by what they are sent as.
    """

    server: Recording
    sent: dict

    def url(self, path):
        return f"{self.server.address}/{path.replace(' ', '-')}"

    def body(self, name):
        return self.sent[name].body

    def json(self, name):
        return json.loads(self.sent[name].body)

    def parts(self, name):
        """Two parts, of which the second is asked for when the first is on its way."""
        body = self.body(name)
        yield body[:60]
        self.server.wait_for(body[:60])
        yield body[60:]

    async def parts_async(self, name):
        for part in self.parts(name):
            yield part


def envelopes():
    return {name: make() for name in (*LOOKED_AT, *OTHERS)}


def with_httpx(sends):
    def post(path, **arguments):
        return client.post(sends.url(path), **arguments).text

    with httpx.Client(
        transport=httpx.HTTPTransport(verify=False), follow_redirects=True
    ) as client:
        yield post("json", json=sends.json("json"))
        yield post("bytes", content=sends.body("bytes"), headers=JSON)
        yield post("text", content=sends.body("text").decode(), headers=JSON)
        yield post("own", content=sends.body("own headers"), headers=list(TWICE))
        yield post("iterator", content=sends.parts("iterator"), headers=JSON)
        body = sends.body("iterator of known length")
        known = {**JSON, "Content-Length": str(len(body))}
        yield post("known", content=sends.parts("iterator of known length"), headers=known)
        yield post("file", content=io.BytesIO(sends.body("file")), headers=JSON)
        order = ("order.json", sends.body("multipart"), "application/json")
        yield post("multipart", files={"order": order})
        yield post("form", data={"order": sends.body("form").decode()})
        yield post("redirect", content=sends.body("redirect"), headers=JSON)
        for _ in range(2):
            yield post("retry", content=sends.body("retry"), headers=JSON)
        for _ in range(3):
            yield post("pool", content=sends.body("pool"), headers=JSON)
        with client.stream(
            "POST", sends.url("drip"), content=sends.body("drip"), headers=JSON
        ) as answer:
            parts = answer.iter_bytes()
            yield next(parts)
            sends.server.release()
            yield list(parts)


def with_httpx_async(sends):
    yield asyncio.run(_httpx_async(sends))


async def _httpx_async(sends):
    got = []

    async def post(path, **arguments):
        got.append((await client.post(sends.url(path), **arguments)).text)

    transport = httpx.AsyncHTTPTransport(verify=False)
    async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
        await post("json", json=sends.json("json"))
        await post("bytes", content=sends.body("bytes"), headers=JSON)
        await post("text", content=sends.body("text").decode(), headers=JSON)
        await post("own", content=sends.body("own headers"), headers=list(TWICE))
        await post("iterator", content=sends.parts_async("iterator"), headers=JSON)
        body = sends.body("iterator of known length")
        known = {**JSON, "Content-Length": str(len(body))}
        parts = sends.parts_async("iterator of known length")
        await post("known", content=parts, headers=known)
        order = ("order.json", sends.body("multipart"), "application/json")
        await post("multipart", files={"order": order})
        await post("form", data={"order": sends.body("form").decode()})
        await post("redirect", content=sends.body("redirect"), headers=JSON)
        for _ in range(2):
            await post("retry", content=sends.body("retry"), headers=JSON)
        for _ in range(3):
            await post("pool", content=sends.body("pool"), headers=JSON)
        async with client.stream(
            "POST", sends.url("drip"), content=sends.body("drip"), headers=JSON
        ) as answer:
            parts = answer.aiter_bytes()
            got.append(await anext(parts))
            sends.server.release()
            got.append([part async for part in parts])
    return got


def with_aiohttp(sends):
    yield asyncio.run(_aiohttp(sends))


async def _aiohttp(sends):
    got = []

    async def post(path, **arguments):
        async with session.post(sends.url(path), **arguments) as answer:
            got.append((answer.status, await answer.text()))

    async with aiohttp.ClientSession(json_serialize=partial(json.dumps, default=str)) as session:
        await post("json", json={**sends.json("json"), "order": UUID(int=7)})
        await post("bytes", data=sends.body("bytes"), headers=JSON)
        await post("text", data=sends.body("text").decode(), headers=JSON)
        await post("own", data=sends.body("own headers"), headers=BEYOND_LATIN)
        await post("iterator", data=sends.parts_async("iterator"), headers=JSON)
        body = sends.body("iterator of known length")
        known = {**JSON, "Content-Length": str(len(body))}
        await post("known", data=sends.parts_async("iterator of known length"), headers=known)
        await post("file", data=io.BytesIO(sends.body("file")), headers=JSON)
        form = aiohttp.FormData()
        form.add_field("order", sends.body("multipart"), filename="order.json")
        await post("multipart", data=form)
        await post("form", data={"order": sends.body("form").decode()})
        await post("redirect", data=sends.body("redirect"), headers=JSON)
        for _ in range(2):
            await post("retry", data=sends.body("retry"), headers=JSON)
        for _ in range(3):
            await post("pool", data=sends.body("pool"), headers=JSON)
        async with session.post(
            sends.url("drip"), data=sends.body("drip"), headers=JSON
        ) as answer:
            got.append(await answer.content.readany())
            sends.server.release()
            got.append(await answer.read())
    return got


def with_requests(sends):
    def post(path, **arguments):
        return session.post(sends.url(path), timeout=20, **arguments).text

    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=_retries()))
        yield post("json", json=sends.json("json"))
        yield post("bytes", data=sends.body("bytes"), headers=JSON)
        yield post("text", data=sends.body("text").decode(), headers=JSON)
        yield post("own", data=sends.body("own headers"), headers=dict(OWN))
        yield post("iterator", data=sends.parts("iterator"), headers=JSON)
        yield post("file", data=io.BytesIO(sends.body("file")), headers=JSON)
        order = ("order.json", sends.body("multipart"), "application/json")
        yield post("multipart", files={"order": order})
        yield post("form", data={"order": sends.body("form").decode()})
        yield post("redirect", data=sends.body("redirect"), headers=JSON)
        yield post("retry", data=sends.body("retry"), headers=JSON)
        for _ in range(3):
            yield post("pool", data=sends.body("pool"), headers=JSON)
        with session.post(
            sends.url("drip"), data=sends.body("drip"), headers=JSON, stream=True, timeout=20
        ) as answer:
            parts = answer.iter_content(8)
            yield next(parts)
            sends.server.release()
            yield list(parts)


def with_urllib3(sends):
    def post(path, **arguments):
        return pool.request("POST", sends.url(path), **arguments).data

    with urllib3.PoolManager(retries=_retries()) as pool:
        yield post("json", json=sends.json("json"))
        yield post("bytes", body=sends.body("bytes"), headers=JSON)
        yield post("text", body=sends.body("text").decode(), headers=JSON)
        headers = urllib3.HTTPHeaderDict()
        for name, value in TWICE:
            headers.add(name, value)
        yield post("own", body=sends.body("own headers"), headers=headers)
        yield post("iterator", body=sends.parts("iterator"), headers=JSON)
        body = sends.body("iterator of known length")
        known = {**JSON, "Content-Length": str(len(body))}
        yield post("known", body=sends.parts("iterator of known length"), headers=known)
        yield post("file", body=io.BytesIO(sends.body("file")), headers=JSON)
        order = ("order.json", sends.body("multipart"), "application/json")
        yield post("multipart", fields={"order": order})
        fields = {"order": sends.body("form").decode()}
        yield post("form", fields=fields, encode_multipart=False)
        yield post("redirect", body=sends.body("redirect"), headers=JSON)
        yield post("retry", body=sends.body("retry"), headers=JSON)
        for _ in range(3):
            yield post("pool", body=sends.body("pool"), headers=JSON)
        answer = pool.request(
            "POST", sends.url("drip"), body=sends.body("drip"), headers=JSON, preload_content=False
        )
        parts = answer.stream(8)
        yield next(parts)
        sends.server.release()
        yield list(parts)
        answer.release_conn()


def _retries():
    return urllib3.Retry(3, status_forcelist=[503], allowed_methods=None, backoff_factor=0)


def with_urllib(sends):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Again())

    def post(path, body, headers=JSON):
        request = urllib.request.Request(sends.url(path), body, dict(headers), method="POST")  # noqa: S310 - http only
        with opener.open(request, timeout=20) as answer:
            return answer.read()

    yield post("bytes", sends.body("bytes"))
    yield post("own", sends.body("own headers"), OWN)
    yield post("iterator", sends.parts("iterator"))
    body = sends.body("iterator of known length")
    known = {**JSON, "Content-Length": str(len(body))}
    yield post("known", sends.parts("iterator of known length"), known)
    yield post("file", io.BytesIO(sends.body("file")))
    yield post("form", sends.body("form"), {})
    yield post("redirect", sends.body("redirect"))
    yield post("retry", sends.body("retry"))
    for _ in range(3):
        yield post("pool", sends.body("pool"))
    request = urllib.request.Request(sends.url("drip"), sends.body("drip"), JSON)  # noqa: S310 - http only
    with opener.open(request, timeout=20) as answer:
        yield answer.read(8)
        sends.server.release()
        yield answer.read()


class _Again(urllib.request.HTTPRedirectHandler):
    """Sends again what is moved, by the request's method, and what was refused as busy."""

    def http_error_307(self, request, answer, code, message, headers):
        moved = urllib.request.Request(  # noqa: S310 - http only
            request.full_url.replace("/redirect", headers["Location"]),
            request.data,
            request.headers,
            method=request.get_method(),
        )
        return self.parent.open(moved, timeout=request.timeout)

    def http_error_503(self, request, answer, code, message, headers):
        answer.read()
        answer.close()
        return self.parent.open(request, timeout=request.timeout)


CLIENTS = {
    "httpx": with_httpx,
    "httpx async": with_httpx_async,
    "aiohttp": with_aiohttp,
    "requests": with_requests,
    "urllib3": with_urllib3,
    "urllib": with_urllib,
}
