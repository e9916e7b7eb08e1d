"""From a message's headers and body to an envelope: one file per wire shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from otelope.codecs.celery import PARTS, UNTOLD, Tasks
from otelope.codecs.faststream import BEGINNINGS, unwrapped
from otelope.codecs.headers import Headers
from otelope.codecs.json_body import JsonBody, encoded
from otelope.codecs.names import Names
from otelope.codecs.payloads import json_or_bytes
from otelope.codecs.plugins import Plugins
from otelope.codecs.rows import Rows
from otelope.codecs.wire import Carrier, Message
from otelope.model.envelope import Envelope


__all__ = ["Codecs"]


class Codecs:
    """
    Recognises envelopes in messages of any library.

    Tried in order: installed codecs (entry points ``otelope.codecs``), CloudEvents in headers,
    JSON bodies, tasks of Celery, metadata in headers and native properties. Of a job's arguments,
    only JSON.

    Args:
        fields: Other names of fields on the wire, by our own, such as ``{"id": "messageId"}``.
        max_body_bytes: Larger bodies are not looked at.
    """

    def __init__(self, fields: Mapping[str, str], max_body_bytes: int) -> None:
        names = Names(fields)
        self._plugins = Plugins() or None
        self._json = JsonBody(names)
        self._tasks = Tasks(self._json)
        self._headers = Headers(names)
        self._rows = Rows(names)
        self._longest = max_body_bytes

    def recognise(self, message: Message, carrier: Carrier) -> Envelope | None:
        """The envelope in a message; None when it is none. No message makes it raise."""
        if message.arguments is not None:
            return self._argument(message.arguments)
        body = message.body
        if type(body) is not bytes:
            body = self._bytes(body)
        if body is None or len(body) > self._longest:
            return None
        if body.startswith(BEGINNINGS):
            body = unwrapped(body)
        if self._plugins is not None:
            envelope = self._plugins.decode(message, carrier)
            if envelope is not None:
                return envelope
        headers, properties = message.headers, message.properties
        if not headers and not properties:
            return self._json.decode(body)
        found = self._headers.scan(headers, carrier) if headers else {}
        payload = body if message.body is not None else None
        envelope = self._headers.cloudevent(headers, carrier, found, payload) if found else None
        envelope = envelope or self._json.decode(body)
        # What is no list has no task, and what was not found needs no call to say so.
        if envelope is None and headers and body[:1] == b"[":
            envelope = self._tasks.decode(headers, carrier, body)
        if envelope is not None or not (found or properties):
            return envelope
        return self._headers.envelope(headers, carrier, found, properties, payload)

    def candidates(self, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> list[Any]:
        """What of a database's rows may be an envelope, each a body for `recognise`."""
        return self._rows.candidates(rows)

    def payload_of(self, envelope: Envelope) -> Any:
        """
        The domain's own data of a recognised envelope, decoded now.

        Bytes where it is no JSON; None where it has none. Never raises.
        """
        if envelope.text is not None:
            return self._json.payload(envelope.text)
        payload = envelope.payload
        return json_or_bytes(payload) if isinstance(payload, bytes) else payload

    def _argument(self, arguments: Sequence[Any]) -> Envelope | None:
        """The first of a job's arguments that is an envelope."""
        for argument in arguments:
            body = self._bytes(argument)
            if body and len(body) <= self._longest:
                envelope = self._json.decode(body)
                if envelope is not None:
                    return envelope
        return None

    def _bytes(self, body: object) -> bytes | None:
        if body is None:
            return b""
        if isinstance(body, str):
            # Lone surrogates go on as they are; what holds one is invalid UTF-8 to every reader.
            return body.encode("utf-8", "surrogatepass") if len(body) <= self._longest else None
        if isinstance(body, bytes | bytearray | memoryview):
            size = body.nbytes if isinstance(body, memoryview) else len(body)
            return bytes(body) if size <= self._longest else None
        # The client library serializes it later, by the application's own serializer.
        if isinstance(body, dict) and self._json.may_be(body):
            return encoded(body)
        if isinstance(body, tuple) and len(body) == PARTS:
            return encoded(body) or UNTOLD
        return None
