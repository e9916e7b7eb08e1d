"""`otelope push`: what a data directory holds, copied to a ClickHouse server."""

from __future__ import annotations

import argparse
import time

from pathlib import Path
from typing import TYPE_CHECKING, Any

from otelope.cli import clickhouse
from otelope.cli.asking import data_directory
from otelope.cli.moments import duration
from otelope.cli.output import print_json, say
from otelope.cli.progress import Progress
from otelope.cli.questions import CannotAskError
from otelope.cli.render import counted
from otelope.cli.up import default_data_directory


if TYPE_CHECKING:
    from otelope.store import Server
    from otelope.store.push import Push


_WORDS = {"otel_logs": "log record", "otel_traces": "span"}


def add_parser(subparsers: Any, server: argparse.ArgumentParser) -> None:
    """Add the command to a program's sub-commands."""
    parser = subparsers.add_parser(
        "push",
        parents=[server],
        help="copy what `otelope up` has stored to a ClickHouse server",
        description="Copies what a data directory of `otelope up` holds to a ClickHouse server, "
        "beside what is there. It may be interrupted: run again it goes on, and copies nothing "
        "twice. What comes in later, the next push copies. Its tables come from `otelope schema "
        "apply`.",
        epilog="Exit status: 0 all is copied, 2 it cannot be, or not to its end.",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=None,
        help="what to copy; no `otelope up` may run on it (default: otelope in the user's data "
        "directory)",
    )
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Copy what is not copied yet."""
    server = clickhouse.required_server(args)
    directory = data_directory(args.data or default_data_directory())
    from otelope.store import StoreError, open_store
    from otelope.store.push import Push

    started = time.monotonic()
    try:
        # The server first: it is open sooner than the engine, which takes 0.3 s.
        with open_store(server) as target, open_store(str(directory)) as source:
            push = Push(source, target)
            _copy(push, server)
    except StoreError as error:
        raise CannotAskError(str(error).removesuffix(".")) from None
    seconds = round(time.monotonic() - started, 3)
    if args.json:
        told = {"data": str(directory), "to": server.where, "copied": push.copied}
        print_json(told | {"seconds": seconds})
    else:
        print(pushed_line(push.copied, server.where, seconds))
    return 0


def pushed_line(copied: dict[str, int], where: str, seconds: float) -> str:
    """What was copied where."""
    if not any(copied.values()):
        return f"nothing new: all is at {where}"
    rows = " and ".join(counted(number, _WORDS[table]) for table, number in copied.items())
    return f"{rows} copied to {where} in {duration(1000 * seconds)}"


def _copy(push: Push, server: Server) -> None:
    from otelope.store import StoreError

    total = sum(push.left.values())
    try:
        with Progress("copying", total, "rows") as progress:
            for rows in push.run():
                progress.advance(rows)
    except StoreError as error:
        raise CannotAskError(
            f"the push to {server.where} stopped: {str(error).removesuffix('.')}. "
            f"{_so_far(push, total)}"
        ) from None
    except KeyboardInterrupt:
        say(f"the push to {server.where} is interrupted. {_so_far(push, total)}")
        raise


def _so_far(push: Push, total: int) -> str:
    copied = sum(push.copied.values())
    return f"{copied:,} of {total:,} rows are copied; the same command goes on from there"
