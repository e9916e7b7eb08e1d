"""Celery's task messages: the envelope among the arguments, else the task itself."""

from __future__ import annotations

import re

from collections.abc import Iterator
from typing import Any

import msgspec

from otelope.codecs.json_body import JsonBody
from otelope.codecs.wire import ABSENT, Carrier, envelope_of
from otelope.model.envelope import Envelope


# Task messages of version 2, Celery's own since 4.0: `[args, kwargs, embed]`.
_Body = tuple[list[msgspec.Raw], dict[str, msgspec.Raw], msgspec.Raw]
PARTS = 3
# What the application's own serializer takes may have no JSON.
UNTOLD = b"[]"
_DECODER = msgspec.json.Decoder(_Body)
_TEXT = msgspec.json.Decoder(str)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# How Celery names a process that is no worker: by its number, which says nothing of the service.
_PROCESS = re.compile(r"^gen\d+@")


class Tasks:
    """Finds envelopes in Celery's messages, which say by their headers what they are."""

    def __init__(self, json: JsonBody) -> None:
        self._json = json

    def decode(self, headers: Any, carrier: Carrier, body: bytes) -> Envelope | None:
        """The envelope that a list of JSON is as a task message; None when it is none."""
        name, root = carrier.get(headers, "task"), carrier.get(headers, "root_id")
        if not name or not root:
            return None
        payload = None
        if body != UNTOLD:
            try:
                args, kwargs, _ = _DECODER.decode(body)
                for argument in _objects((*args, *kwargs.values())):
                    envelope = self._json.decode(argument)
                    if envelope is not None:
                        return envelope
            except _UNREADABLE:
                return None
            payload = msgspec.json.encode({"args": args, "kwargs": kwargs})
        return envelope_of(
            carrier.get(headers, "id"),
            name,
            ABSENT,
            _PROCESS.sub("", carrier.get(headers, "origin") or ""),
            # Where nothing else is known, what its workflow began with.
            carrier.get(headers, "parent_id") or root,
            ABSENT,
            "command",
            payload=payload,
            vouched=True,
        )


def _objects(arguments: tuple[msgspec.Raw, ...]) -> Iterator[bytes]:
    for argument in map(bytes, arguments):
        if argument[:1] == b"{":
            yield argument
        elif argument[:2] == b'"{':
            yield _TEXT.decode(argument).encode("utf-8", "surrogatepass")
