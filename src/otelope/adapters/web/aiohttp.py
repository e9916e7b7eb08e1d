"""The client of aiohttp; its redirects are one sending."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import error_of_answer, messages_of, pairs_of, text_of
from otelope.core.message import Message
from otelope.core.sites import send_request


_ENCODING = "utf-8"  # of header values, where others have Latin-1


def requested(call: Call) -> list[Message]:
    # What is still to be generated is the application's to iterate, once.
    if isinstance(call["headers"], Iterator):
        return []
    session, headers = call.instance, pairs_of(call["headers"], _ENCODING)
    body, said = call["data"], [*pairs_of(session.headers, _ENCODING), *headers]
    if call["json"] is not None:
        # By the application's own function; 3.14 has one for bytes too.
        serialize = getattr(session, "_json_serialize_bytes", None) or session.json_serialize
        body, said = serialize(call["json"]), [(b"content-type", b"application/json"), *said]

    def path() -> str:
        # Below the session's base.
        return str(session._build_url(call["str_or_url"]).path)  # noqa: SLF001 - nobody else says

    return messages_of(path, body, headers, said)


def stamped(call: Call, headers: list[tuple[bytes, bytes]]) -> None:
    call["headers"] = text_of(headers, _ENCODING)


def answered(response: Any) -> str | None:
    return error_of_answer(response.status)


ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(send_request("aiohttp.client:ClientSession._request", requested, stamped, answered),),
    contrib="opentelemetry.instrumentation.aiohttp_client:AioHttpClientInstrumentor",
)
