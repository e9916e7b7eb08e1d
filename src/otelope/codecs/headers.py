"""Metadata in headers and native properties, under the usual spellings of our fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from otelope.codecs.cloudevents import binary, specversion_prefix
from otelope.codecs.names import Names
from otelope.codecs.wire import ABSENT, FIELDS, Carrier, envelope_of
from otelope.model.envelope import Envelope, Source


# By field, best first: without what stands between words, in lower case, without "x-" before it.
# AMQP's correlation_id is no parent: it names a conversation as often as a cause.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "id": ("id", "messageid", "envelopeid", "eventid", "commandid"),
    "type": ("type", "messagetype", "envelopetype", "eventtype", "commandtype"),
    "timestamp": ("timestamp", "messagetimestamp", "envelopetimestamp", "eventtimestamp"),
    "source": ("source", "sourcename", "messagesource", "eventsource", "appid"),
    "parentId": ("parentid", "causationid", "causeid", "parentmessageid"),
    "channel": ("channel",),
    "kind": ("kind", "messagekind"),
}
SOURCE_VERSION = ("sourceversion", "appversion")

_SPECVERSION = "specversion"
_BETWEEN_WORDS = str.maketrans("", "", "-_.")
# Bounds what is remembered of headers that hostile clients invent.
_LONGEST_HEADER = 64


class Headers:
    """Finds envelopes whose metadata stand beside the body."""

    def __init__(self, names: Names) -> None:
        self._spellings = dict(SPELLINGS)
        for field in names.renamed:
            self._spellings[field] = (_normal(".".join(names.paths[field])),)
        self._parent = ".".join(names.paths["parentId"])
        known = {s for spellings in self._spellings.values() for s in spellings}
        known.update(SOURCE_VERSION)

        # A system has few header names, so nearly all calls are answered from here (0.05 µs).
        @lru_cache(maxsize=1024)
        def spelling(name: str | bytes) -> tuple[str, str] | None:
            header = name if isinstance(name, str) else str(name, "latin-1")
            if specversion_prefix(header) is not None:
                return _SPECVERSION, header
            normal = _normal(header)
            return (normal, header) if normal in known else None

        self._spelling = spelling

    def scan(self, headers: Any, carrier: Carrier) -> dict[str, str]:
        """The names of headers that may hold metadata, by the spelling known here."""
        found: dict[str, str] = {}
        # A dictionary's names may be bytes; to make text of those that matter costs half.
        for name in headers if type(headers) is dict else carrier.keys(headers):
            if len(name) <= _LONGEST_HEADER:
                spelling = self._spelling(name)
                if spelling is not None:
                    found.setdefault(*spelling)
        return found

    def cloudevent(
        self, headers: Any, carrier: Carrier, found: Mapping[str, str], payload: bytes | None
    ) -> Envelope | None:
        """The envelope that CloudEvents headers make."""
        prefix = specversion_prefix(found.get(_SPECVERSION, ""))
        if prefix is None:
            return None
        return binary(headers, carrier, prefix, self._parent, payload)

    def envelope(
        self,
        headers: Any,
        carrier: Carrier,
        found: Mapping[str, str],
        properties: Mapping[str, Any] | None,
        payload: bytes | None,
    ) -> Envelope | None:
        """The envelope that headers make with native properties; a header goes before those."""
        native = {}
        for name, given in properties.items() if properties else ():
            spelling = self._spelling(name)
            if spelling is not None and given is not None:
                native[spelling[0]] = given
        if not found and not native:
            return None

        def value(spellings: tuple[str, ...]) -> Any:
            for spelling in spellings:
                text = carrier.get(headers, found[spelling]) if spelling in found else None
                if text is not None:
                    return text
            return next((native[s] for s in spellings if s in native), ABSENT)

        fields = {field: value(self._spellings[field]) for field in FIELDS}
        if fields["id"] is ABSENT or fields["type"] is ABSENT:
            return None
        fields["timestamp"] = _milliseconds(fields["timestamp"])
        fields["source"] = Source(fields["source"], value(SOURCE_VERSION))
        return envelope_of(*fields.values(), payload=payload)


def _normal(name: str) -> str:
    return name.lower().removeprefix("x-").translate(_BETWEEN_WORDS)


def _milliseconds(timestamp: Any) -> Any:
    if not isinstance(timestamp, datetime):
        return timestamp
    # AMQP's are POSIX time: aio-pika before 9 hands them over without a zone.
    moment = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=timezone.utc)
    return moment.timestamp() * 1000
