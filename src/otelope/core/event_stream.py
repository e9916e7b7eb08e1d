"""Server-sent events, found in a response while it passes."""

from __future__ import annotations

import re


_LINE_END = re.compile(rb"\r\n|\n|\r")
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_LONGEST_END = 4
_DATA = b"data:"


class EventStream:
    """
    The data of the events of one stream (WHATWG HTML, 9.2.5 "Parsing an event stream").

    Args:
        limit: The largest event that is looked at, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begun = bytearray()
        self._skips = False

    def passed(self, chunk: bytes) -> list[bytes]:
        """The data of each event that ends in what has passed."""
        begun, events, start = self._begun, [], 0
        # Only where an end may be that was none before: an event may come byte by byte.
        new = max(0, len(begun) - _LONGEST_END + 1)
        begun += chunk
        for end in _EVENT_END.finditer(begun, new):
            events.append(bytes(begun[start : end.start()]))
            start = end.end()
        del begun[:start]
        if events and self._skips:
            self._skips = False
            del events[0]
        if len(begun) > self._limit:
            # Of what is too long only its end is looked for.
            self._skips = True
            del begun[: 1 - _LONGEST_END]
        looked_at = (event for event in events if len(event) <= self._limit)
        return [data for event in looked_at if (data := _data_of(event))]


def _data_of(event: bytes) -> bytes:
    lines = [line for line in _LINE_END.split(event) if line.startswith(_DATA)]
    return b"\n".join(line[len(_DATA) :].removeprefix(b" ") for line in lines)
