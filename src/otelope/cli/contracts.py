"""`otelope contracts`: which fields of payloads were sent, and which of them nobody declared."""

from __future__ import annotations

import argparse
import sys

from collections.abc import Iterator
from typing import Any

from otelope.cli.find import moment_of
from otelope.cli.output import print_json, say
from otelope.cli.questions import Questions
from otelope.cli.render import counted
from otelope.cli.style import Style, printable, style_for


_WEEK = "7d"


def add_parser(subparsers: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the program's sub-commands."""
    parser = subparsers.add_parser(
        "contracts",
        parents=[shared],
        help="list which fields were sent, and which leaked",
        description="Lists, type by type, in how many envelopes each field of the payload was "
        "sent: those that a contract declares, those that leaked although it does not, and those "
        "of types that have none.",
        epilog="TIME is how long ago (90s, 10m, 2h, 7d), a date, or a date and time. "
        "Exit status: 0 shown, 1 nothing sent, or with --check something leaked, 2 nobody to ask.",
    )
    parser.add_argument("--type", metavar="TYPE", help="of exactly this type")
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=moment_of,
        default=_WEEK,
        help="made at this time or later, to the hour (default: %(default)s)",
    )
    parser.add_argument("--check", action="store_true", help="fail when a field leaked")
    parser.set_defaults(func=run, asks=True)


def run(args: argparse.Namespace, questions: Questions) -> int:
    """Print what was sent; 1 when there is nothing, or something leaked and that is asked for."""
    found = questions.contracts(args.since, args.type)
    if args.json:
        print_json(found)
    elif found:
        for line in contract_lines(found, style_for(sys.stdout)):
            print(line)
    else:
        say(f"no envelope at {questions.where} satisfies all of this")
    leaked = any(each["leaked"] for each in found)
    return 1 if not found or (args.check and leaked) else 0


def contract_lines(types: list[dict[str, Any]], style: Style) -> Iterator[str]:
    """What was sent, type by type and field by field, and a last line that sums up."""
    for each in types:
        name = style.paint(printable(each["type"]), "bold")
        without = "" if each["declared"] is not None else style.paint("  no contract", "yellow")
        yield f"{name}  {counted(each['envelopes'], 'envelope')}{without}"
        left = {**dict.fromkeys(each["declared"] or (), 0), **each["left"]}
        width = max((len(printable(field)) for field in left), default=0)
        for field, count in left.items():
            leaked = each["leaked"].get(field, 0)
            shown = printable(field).ljust(width)
            yield f"  {_mark(each, leaked, style)} {shown}  {_how_often(count, leaked, style)}"
    bare = sum(each["declared"] is None for each in types)
    leaks = sum(len(each["leaked"]) for each in types)
    parts = [counted(len(types), "type")]
    if bare:
        parts.append(f"{bare} without a contract")
    parts.append(f"{counted(leaks, 'field')} leaked" if leaks else "nothing leaked")
    yield style.paint(", ".join(parts), "bold", "red" if leaks else "green")


def _mark(each: dict[str, Any], leaked: int, style: Style) -> str:
    if each["declared"] is None:
        return style.paint(style.marks.unknown, "yellow")
    if leaked:
        return style.paint(style.marks.failed, "red")
    return style.paint(style.marks.ok, "green")


def _how_often(count: int, leaked: int, style: Style) -> str:
    if not count:
        return style.paint("never", "dim")
    if not leaked:
        return f"{count:,}"
    return f"{count:,}  " + style.paint(
        f"leaked {leaked:,}" if leaked < count else "leaked", "red"
    )
