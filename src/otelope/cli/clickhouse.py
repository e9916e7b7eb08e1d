"""Which ClickHouse server a command speaks to: one set of options and variables for all."""

from __future__ import annotations

import argparse
import os
import re

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from otelope.cli.questions import CannotAskError


if TYPE_CHECKING:
    from otelope.store import Server


VARIABLE = "OTELOPE_CLICKHOUSE"
EXAMPLE = "http://host:8123"


class _Option(NamedTuple):
    """A field of `otelope.store.Server`, as option and variable."""

    field: str
    metavar: str
    help: str

    @property
    def option(self) -> str:
        return f"--clickhouse-{self.field.replace('_', '-')}"

    @property
    def variable(self) -> str:
        return f"{VARIABLE}_{self.field.upper()}"


_OPTIONS = (
    _Option("user", "NAME", "who asks (default: the server's user `default`)"),
    _Option("password", "TEXT", "better in the variable: others see the arguments of a program"),
    _Option("database", "NAME", "where the tables are (default: otelope)"),
    _Option("ca_file", "FILE", "certificates to trust besides the machine's own, PEM"),
    _Option("cert_file", "FILE", "the certificate that the server asks for, PEM"),
    _Option("key_file", "FILE", "its key, PEM"),
    _Option("timeout", "SECONDS", "for one question (default: 30)"),
)
VARIABLES = (VARIABLE, *(each.variable for each in _OPTIONS))


def options() -> argparse.ArgumentParser:
    """A parser to be a parent of those of commands that may speak to a server."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group(
        "ClickHouse server",
        f"Each can be given by a variable: {VARIABLE}, {_OPTIONS[0].variable} and so on.",
    )
    group.add_argument(
        "--clickhouse",
        metavar="URL",
        help=f"its HTTP interface, {EXAMPLE} or https://host:8443; of a cluster "
        "http://one:8123,two:8123",
    )
    for each in _OPTIONS:
        group.add_argument(each.option, metavar=each.metavar, help=each.help)
    return parser


def shown(url: str) -> str:
    """A URL without user and password."""
    return re.sub("//.*@", "//", url)


def server(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Server | None:
    """
    The server that ``--clickhouse``, else ``OTELOPE_CLICKHOUSE`` names; None when neither does.

    Raises:
        CannotAskError: An option is wrong, or it belongs to a server and none is named.
    """
    url = args.clickhouse or environ.get(VARIABLE, "").strip()
    if url:
        return server_at(url, args, environ)
    given = next((each.option for each in _OPTIONS if _given(args, each)), None)
    if given:
        raise CannotAskError(f"{given} says something of a server: name it with --clickhouse URL")
    return None


def required_server(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Server:
    """
    As `server`, for commands that do nothing without one.

    Raises:
        CannotAskError: No server is named, or an option is wrong.
    """
    found = server(args, environ)
    if found is None:
        raise CannotAskError(
            f"name the ClickHouse server with --clickhouse {EXAMPLE} or {VARIABLE}"
        )
    return found


def server_at(url: str, args: argparse.Namespace, environ: Mapping[str, str]) -> Server:
    """
    The server at a URL; an option counts more than what the URL says, that more than a variable.

    Raises:
        CannotAskError: The URL or an option is wrong.
    """
    from otelope.store import CannotOpenError, Server

    said = {each.field: environ.get(each.variable, "").strip() for each in _OPTIONS}
    given = {each.field: _given(args, each) for each in _OPTIONS}
    try:
        named = Server.from_url(url, **_values(said))
        return replace(named, **_values(given))
    except CannotOpenError as error:
        raise CannotAskError(str(error).removesuffix(".")) from None


def _given(args: argparse.Namespace, option: _Option) -> str:
    return getattr(args, f"clickhouse_{option.field}") or ""


def _values(texts: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {field: text for field, text in texts.items() if text}
    if "timeout" in found:
        found["timeout"] = _seconds(found["timeout"])
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise CannotAskError(f"--clickhouse-timeout {text!r} is no number of seconds")
    return seconds
