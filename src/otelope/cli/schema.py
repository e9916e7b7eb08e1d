"""`otelope schema`: the tables on a ClickHouse server, made, upgraded and checked."""

from __future__ import annotations

import argparse
import re

from typing import TYPE_CHECKING, Any

from otelope.cli import clickhouse
from otelope.cli.output import print_json, say
from otelope.cli.questions import CannotAskError


if TYPE_CHECKING:
    from otelope.store.layout import Layout
    from otelope.store.remote import RemoteEngine

_KEPT = {
    "envelopes": "envelopes and what was done with them, counted from their arrival",
    "logs": "the log records that they came in, and any others",
    "traces": "spans",
}
_FOREVER = "forever"
_MENDS = "`otelope schema apply` mends what can be mended where rows stay"
_MENDS_NOT = (
    "this cannot be changed where rows stay: rename the table, make it with "
    "`otelope schema apply`, and insert its rows from the old one"
)
# 27 years: where a moment and the days come to more than its type holds, in 2106 for seconds in 32
# bits, they wrap around, and ClickHouse takes the row for expired.
_days = re.compile(r"(\d{1,4})d")


def add_parser(subparsers: Any, server: argparse.ArgumentParser) -> None:
    """Add the command to a program's sub-commands."""
    parser = subparsers.add_parser(
        "schema",
        help="make, upgrade or check the tables on a ClickHouse server",
        description="The tables on a ClickHouse server. `otelope up` makes those of its own "
        "directory itself.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    layout = argparse.ArgumentParser(add_help=False)
    layout.add_argument(
        "--cluster",
        metavar="NAME",
        help="as in the servers' remote_servers: replicated tables on each, and distributed ones "
        "over them (default: as the tables are, or a single server)",
    )
    _add_apply(commands, [server, layout])
    check = commands.add_parser(
        "check",
        parents=[server, layout],
        help="say what is not as it should be",
        description="Compares the tables with what this otelope needs.",
        epilog="Exit status: 0 all is as it should be, 1 something differs, 2 nobody to ask.",
    )
    check.add_argument("--json", action="store_true", help="write JSON, for programs")
    check.set_defaults(func=_check)


def _add_apply(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    apply = commands.add_parser(
        "apply",
        parents=parents,
        help="make or upgrade the tables",
        description="Makes the tables what this otelope needs: creates what is missing, adds "
        "columns, renews views. Rows stay; it may be interrupted, and run again at any time.",
        epilog=f"DAYS is a number of days (90d) or `{_FOREVER}`; what is not said stays as it is. "
        "Exit status: 0 done, 2 it cannot be.",
    )
    apply.add_argument(
        "--plan", action="store_true", help="only print the statements, for who runs them"
    )
    for what, text in _KEPT.items():
        apply.add_argument(
            f"--keep-{what}", metavar="DAYS", type=_kept_days, help=f"how long to keep {text}"
        )
    apply.set_defaults(func=_apply)


def _apply(args: argparse.Namespace) -> int:
    from otelope.store import StoreError, schema

    engine = _open(args)
    try:
        layout = _layout(args, engine)
        steps = (schema.plan if args.plan else schema.apply)(engine, layout)
        count = 0
        for step in steps:
            count += 1
            print(f"{step.statement};\n" if args.plan else step.title, flush=True)
        done = f"{count} done" if count else "nothing to do"
        if not args.plan:
            print(f"{done}: schema {schema.version(engine)} at {engine.where}")
        elif not count:
            say(f"{done}: schema {schema.version(engine)} at {engine.where}")
    except StoreError as error:
        text = str(error).removesuffix(".")
        raise CannotAskError(f"the schema cannot be applied: {text}") from None
    finally:
        engine.close()
    return 0


def _check(args: argparse.Namespace) -> int:
    from otelope.store import StoreError, schema

    engine = _open(args)
    try:
        schema.check_version(engine)
        layout = _layout(args, engine)
        found = schema.differences(engine, layout)
        mends = bool(found and schema.plan(engine, layout))
    except StoreError as error:
        raise CannotAskError(str(error).removesuffix(".")) from None
    finally:
        engine.close()
    if args.json:
        print_json({"where": engine.where, "differences": found})
        return 1 if found else 0
    for line in found or [f"all is as it should be at {engine.where}"]:
        print(line)
    if found:
        say(_MENDS if mends else _MENDS_NOT)
    return 1 if found else 0


def _open(args: argparse.Namespace) -> RemoteEngine:
    from otelope.store import CannotOpenError
    from otelope.store.remote import RemoteEngine

    try:
        return RemoteEngine(clickhouse.required_server(args))
    except CannotOpenError as error:
        raise CannotAskError(str(error).removesuffix(".")) from None


def _layout(args: argparse.Namespace, engine: RemoteEngine) -> Layout:
    from otelope.store import schema
    from otelope.store.layout import Layout

    kept = {what: getattr(args, f"keep_{what}", None) for what in _KEPT}
    return Layout(
        engine.database,
        schema.cluster_of(engine) if args.cluster is None else args.cluster,
        {what: days for what, days in kept.items() if days is not None},
    )


def _kept_days(text: str) -> int:
    if text == _FOREVER:
        return 0
    match = _days.fullmatch(text)
    if not match or not int(match[1]):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write a number of days, 90d (9999d at most), or {_FOREVER}"
        )
    return int(match[1])
