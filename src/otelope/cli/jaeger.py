"""Where Jaeger shows the traces of a tree."""

from __future__ import annotations

import os

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from otelope.cli.questions import CannotAskError
from otelope.cli.render import counted
from otelope.cli.style import Style, printable


JAEGER_VARIABLE = "OTELOPE_JAEGER_URL"
EXAMPLE = "http://127.0.0.1:16686"

_MOST_LINES = 3


def jaeger_address(environ: Mapping[str, str] = os.environ) -> str | None:
    """
    Where Jaeger's pages begin, as ``OTELOPE_JAEGER_URL`` says; None where it says nothing.

    Raises:
        CannotAskError: It says what is no address.
    """
    url = environ.get(JAEGER_VARIABLE, "").strip()
    if not url:
        return None
    if not _is_address(url):
        raise CannotAskError(
            f"{JAEGER_VARIABLE} is {url!r}, which is no address of Jaeger: let it be such as "
            f"{EXAMPLE}, or unset it"
        )
    return url.rstrip("/")


def trace_urls(jaeger: str, tree: Mapping[str, Any]) -> list[str]:
    """
    The pages of a tree's traces, in the order of what stands in them first.

    They may be more than its ``trace_ids``: what handles an envelope without having got its
    headers does so in a trace of its own.
    """
    found: dict[str, None] = {}
    pending = [tree["root"]]
    while pending:
        node = pending.pop()
        for each in (node, *node["stores"], *node["sends"], *node["deliveries"]):
            if each["trace_id"]:
                found.setdefault(each["trace_id"])
        pending.extend(reversed(node["children"]))
    return [trace_url(jaeger, trace_id) for trace_id in found]


def trace_url(jaeger: str, trace_id: str) -> str:
    """The page of a trace."""
    return f"{jaeger}/trace/{trace_id}"


def trace_lines(urls: Sequence[str], style: Style) -> Iterator[str]:
    """Some of the pages, a line each, and how many there are besides."""
    for url in urls[:_MOST_LINES]:
        yield style.paint(printable(url), "dim")
    more = len(urls) - _MOST_LINES
    if more > 0:
        yield style.paint(f"and {counted(more, 'more trace')}", "dim")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Looked at only now: it may be out of range.
        _ = parts.port
    except ValueError:
        return False
    ends_there = not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and ends_there
