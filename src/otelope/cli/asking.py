"""Where questions go: a running `otelope up`, a data directory or a ClickHouse server."""

from __future__ import annotations

import argparse
import os

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from otelope.cli import clickhouse
from otelope.cli.questions import CannotAskError, NothingAnswersError, Questions
from otelope.cli.up import default_data_directory


if TYPE_CHECKING:
    from otelope.store import Server


DEFAULT_STORE = "http://127.0.0.1:4318"
STORE_VARIABLE = "OTELOPE_STORE"

# What `otelope up` makes below its data directory; opening any other directory would put it there.
_ENGINE = "engine"


class Opened(NamedTuple):
    """
    Whom to ask.

    Args:
        questions: Open; the caller closes it.
        note: What the user should know about the choice; empty when there was none.
    """

    questions: Questions
    note: str


def open_questions(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Opened:
    """
    Open what an option names, else ``OTELOPE_STORE``, else ``OTELOPE_CLICKHOUSE``.

    With none of them it is the daemon on this machine, and where none runs, the default data
    directory.

    Args:
        args: ``store`` may be ``http[s]://`` of a daemon, a directory or ``chdb:///directory``, or
            ``clickhouse[s]://user:password@host:port/database``; of the rest see `clickhouse`.
        environ: The environment.

    Raises:
        CannotAskError: Nobody can be asked.
    """
    # Each half is loaded by who needs it: HTTP takes 40 ms of start-up, the store 60.
    from otelope.cli.daemon import Daemon

    if args.store and args.clickhouse:
        raise CannotAskError("--store and --clickhouse name two to ask: leave one out")
    chosen = args.store or (not args.clickhouse and environ.get(STORE_VARIABLE, "").strip())
    if chosen:
        return Opened(_named(chosen, args, environ), "")
    if server := clickhouse.server(args, environ):
        return Opened(_direct(server), "")
    directory = default_data_directory()
    try:
        return Opened(Daemon(DEFAULT_STORE), "")
    except NothingAnswersError:
        if not (directory / _ENGINE).is_dir():
            raise
    note = f"nothing answers at {DEFAULT_STORE}; reading {directory} instead"
    return Opened(_direct(str(directory)), note)


def who_is_named(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> str:
    """Whom an option or a variable names, without user and password; empty where none does."""
    variables = (environ.get(name, "").strip() for name in (STORE_VARIABLE, clickhouse.VARIABLE))
    return clickhouse.shown(next(filter(None, (args.store, args.clickhouse, *variables)), ""))


def _named(store: str, args: argparse.Namespace, environ: Mapping[str, str]) -> Questions:
    from otelope.cli.daemon import Daemon

    try:
        scheme = urlsplit(store).scheme
    except ValueError as error:
        shown = clickhouse.shown(store)
        raise CannotAskError(f"{shown!r} cannot be asked: {error}") from None
    if scheme in ("http", "https"):
        return Daemon(store)
    if scheme in ("clickhouse", "clickhouses"):
        url = f"http{scheme.removeprefix('clickhouse')}{store[len(scheme) :]}"
        return _direct(clickhouse.server_at(url, args, environ))
    path = store.removeprefix("chdb://")
    if "://" in path:
        raise CannotAskError(
            f"{clickhouse.shown(store)!r} is no store: name a running `otelope up` "
            "(http://host:4318), a data directory, or a ClickHouse server with --clickhouse"
        )
    return _direct(str(data_directory(Path(path))))


def data_directory(path: Path) -> Path:
    """
    A data directory of `otelope up`, absolute.

    Raises:
        CannotAskError: It is none; to open it would make it one.
    """
    directory = path.expanduser().absolute()
    if not (directory / _ENGINE).is_dir():
        raise CannotAskError(
            f"{directory} is no data directory of otelope: name the one that `otelope up --data` "
            "was given"
        )
    return directory


def _direct(store: str | Server) -> Questions:
    from otelope.cli.direct import Direct

    return Direct(store)
