"""urllib3, and requests, which stands on it: each attempt, so each retry and each redirect."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from urllib3 import HTTPHeaderDict

from otelope.core.adapter import Adapter
from otelope.core.call import Call
from otelope.core.carriers import HTTP
from otelope.core.http import error_of_answer, messages_of, pairs_of, text_of
from otelope.core.message import Message
from otelope.core.sites import send_request


def requested(call: Call) -> list[Message]:
    return messages_of(lambda: urlsplit(call["url"]).path, call["body"], pairs_of(call["headers"]))


def stamped(call: Call, headers: list[tuple[bytes, bytes]]) -> None:
    # Some are said more than once.
    kind = HTTPHeaderDict if isinstance(call["headers"], HTTPHeaderDict) else dict
    call["headers"] = kind(text_of(headers))


def answered(response: Any) -> str | None:
    return error_of_answer(response.status)


_POOL = "urllib3.connectionpool:HTTPConnectionPool"
ADAPTER = Adapter(
    system="http",
    carrier=HTTP,
    sites=(
        send_request(
            "urllib3.connectionpool:HTTPConnectionPool._make_request", requested, stamped, answered
        ),
    ),
    contrib="opentelemetry.instrumentation.urllib3:URLLib3Instrumentor"
    " opentelemetry.instrumentation.requests:RequestsInstrumentor",
)
