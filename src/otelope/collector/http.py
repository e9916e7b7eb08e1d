"""OTLP over HTTP, and what the command line and the viewer ask: one ASGI application."""

from __future__ import annotations

import asyncio
import ipaddress
import zlib

from collections.abc import Sequence

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from otelope.collector import api
from otelope.collector.batching import BusyError, GroupCommit
from otelope.collector.signals import SIGNALS, MalformedError, Signal
from otelope.store import Store, StoreError


_PROTOBUF = "application/x-protobuf"
_JSON = "application/json"
_COMMIT_TIMEOUT = 60.0
# The numbers of google.rpc.Code, which the Status message of an error carries.
_INVALID_ARGUMENT = 3
_RESOURCE_EXHAUSTED = 8
_UNAVAILABLE = 14


def application(
    store: Store, commit: GroupCommit, max_request_bytes: int, pages: Sequence[BaseRoute] = ()
) -> Starlette:
    """
    The application.

    Args:
        store: Answers questions.
        commit: Takes what is sent.
        max_request_bytes: Larger requests are refused, before and after decompression.
        pages: What is served beside, at other paths.
    """
    routes = [
        Route(f"/v1/{name}", _Receiver(signal, commit, max_request_bytes), methods=["POST"])
        for name, signal in SIGNALS.items()
    ]
    served = [*routes, *api.routes(store), *pages]
    return Starlette(routes=served, middleware=[Middleware(_LocalNames)])


class _RefusedError(Exception):
    def __init__(self, status: int, code: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.code = code


class _Receiver:
    """The endpoint of one signal."""

    def __init__(self, signal: Signal, commit: GroupCommit, max_request_bytes: int) -> None:
        self._signal = signal
        self._commit = commit
        self._max_request_bytes = max_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            response = await self._answer(request, media_type)
        except ClientDisconnect:
            return
        except _RefusedError as error:
            status = Status(code=error.code, message=str(error))
            response = _encoded(status, media_type, error.status)
            if error.status == 503:  # noqa: PLR2004 - Service Unavailable
                response.headers["retry-after"] = "1"
        await response(scope, receive, send)

    async def _answer(self, request: Request, media_type: str) -> Response:
        if media_type not in (_PROTOBUF, _JSON):
            raise _RefusedError(
                415, _INVALID_ARGUMENT, f"Content-Type must be {_PROTOBUF} or {_JSON}."
            )
        body = await self._body(request)
        read = self._signal.from_json if media_type == _JSON else self._signal.from_protobuf
        try:
            rows = await run_in_threadpool(read, body)
            committed = asyncio.wrap_future(self._commit.submit(rows))
            await asyncio.wait_for(committed, _COMMIT_TIMEOUT)
        except MalformedError as error:
            raise _RefusedError(400, _INVALID_ARGUMENT, str(error)) from None
        except (BusyError, StoreError) as error:
            raise _RefusedError(503, _UNAVAILABLE, str(error)) from None
        except asyncio.TimeoutError:
            raise _RefusedError(503, _UNAVAILABLE, "The store does not answer.") from None
        return _encoded(self._signal.response(), media_type, 200)

    async def _body(self, request: Request) -> bytes:
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise _RefusedError(415, _INVALID_ARGUMENT, "Content-Encoding must be gzip or none.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_request_bytes:
                raise self._too_large()
        if encoding == "identity":
            return bytes(body)
        return await run_in_threadpool(self._decompressed, bytes(body))

    def _decompressed(self, body: bytes) -> bytes:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: expect gzip's frame
        try:
            # A few kilobytes can unfold to gigabytes: stop where the limit is.
            plain = inflate.decompress(body, self._max_request_bytes)
        except zlib.error as error:
            raise _RefusedError(400, _INVALID_ARGUMENT, f"not gzip: {error}") from None
        if inflate.unconsumed_tail:
            raise self._too_large()
        if not inflate.eof:
            raise _RefusedError(400, _INVALID_ARGUMENT, "not gzip: it ends too early")
        return plain

    def _too_large(self) -> _RefusedError:
        return _RefusedError(
            413, _RESOURCE_EXHAUSTED, f"More than {self._max_request_bytes} bytes."
        )


class _LocalNames:
    """
    Refuses names other than localhost on a loopback address.

    Otherwise any web page could read the store, by giving its own name this address
    (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_address(scope["server"][0], loopback=True):
            host = Request(scope).url.hostname or ""
            if host != "localhost" and not _is_address(host):
                refusal = PlainTextResponse("Ask localhost or an IP address.\n", 421)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_address(host: str, *, loopback: bool = False) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback if loopback else True


def _encoded(message: Message, media_type: str, status: int) -> Response:
    if media_type == _JSON:
        return Response(json_format.MessageToJson(message, indent=None), status, media_type=_JSON)
    return Response(message.SerializeToString(), status, media_type=_PROTOBUF)
