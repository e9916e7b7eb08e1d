"""Where questions go: a running `otelope up`, a data directory or a ClickHouse server."""

from __future__ import annotations

import os

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from otelope.cli.questions import CannotAskError, NothingAnswersError, Questions
from otelope.cli.up import default_data_directory


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


def open_questions(store: str | None, environ: Mapping[str, str] = os.environ) -> Opened:
    """
    Open what ``--store``, else ``OTELOPE_STORE`` names.

    With neither it is the daemon on this machine, and where none runs, the default data directory.

    Args:
        store: ``http[s]://`` of a daemon, a directory or ``chdb:///directory``, or
            ``clickhouse[s]://user:password@host:port/database``.
        environ: The environment.

    Raises:
        CannotAskError: Nobody can be asked.
    """
    # Each half is loaded by who needs it: HTTP takes 40 ms of start-up, the store 60.
    from otelope.cli.daemon import Daemon

    chosen = store or environ.get(STORE_VARIABLE, "").strip()
    if chosen:
        try:
            scheme = urlsplit(chosen).scheme
        except ValueError as error:
            raise CannotAskError(f"{chosen!r} cannot be asked: {error}") from None
        named = Daemon(chosen) if scheme in ("http", "https") else _open_store(chosen, scheme)
        return Opened(named, "")
    directory = default_data_directory()
    try:
        return Opened(Daemon(DEFAULT_STORE), "")
    except NothingAnswersError:
        if not (directory / _ENGINE).is_dir():
            raise
    note = f"nothing answers at {DEFAULT_STORE}; reading {directory} instead"
    return Opened(_open_store(str(directory)), note)


def _open_store(name: str, scheme: str = "") -> Questions:
    from otelope.cli.direct import Direct

    if scheme in ("clickhouse", "clickhouses"):
        return Direct(f"http{scheme.removeprefix('clickhouse')}{name[len(scheme) :]}")
    path = name.removeprefix("chdb://")
    if "://" in path:
        raise CannotAskError(
            f"{name!r} is no store: name a running `otelope up` (http://host:4318), a data "
            "directory, or a ClickHouse server (clickhouse://user:password@host:8123/database)"
        )
    directory = Path(path).expanduser().absolute()
    if not (directory / _ENGINE).is_dir():
        raise CannotAskError(
            f"{directory} is no data directory of otelope: name the one that `otelope up --data` "
            "was given"
        )
    return Direct(str(directory))
