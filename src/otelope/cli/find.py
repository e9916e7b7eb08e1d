"""`otelope find`: envelopes by what is known of them."""

from __future__ import annotations

import argparse
import sys

from collections.abc import Iterator
from typing import Any

from otelope.cli.moments import clock, moment
from otelope.cli.output import print_json, say
from otelope.cli.questions import Questions
from otelope.cli.style import Style, printable, style_for


_COLUMNS = ("time", "type", "source", "channel", "id")
_COLOURS = ("dim", "bold", "green", "magenta", "dim")


def add_parser(subparsers: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the program's sub-commands."""
    parser = subparsers.add_parser(
        "find",
        parents=[shared],
        help="list envelopes by type, source, channel, time, failure or text",
        description="Lists the envelopes that satisfy every filter given, the newest first.",
        epilog="TIME is how long ago (90s, 10m, 2h, 7d), a date, or a date and time. "
        "Exit status: 0 found, 1 none found, 2 nobody to ask.",
    )
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", help="occurs in the envelope's JSON, in any case"
    )
    parser.add_argument("--type", metavar="TYPE", help="of exactly this type")
    parser.add_argument("--source", metavar="NAME", help="made by this service")
    parser.add_argument("--channel", metavar="NAME", help="sent to this topic, queue or route")
    parser.add_argument(
        "--since", metavar="TIME", type=moment_of, help="made at this time or later"
    )
    parser.add_argument(
        "--until", metavar="TIME", type=moment_of, help="made at this time or earlier"
    )
    parser.add_argument(
        "--failed",
        action="store_true",
        default=None,
        help="where handling, sending or storing it failed",
    )
    parser.add_argument(
        "--stuck",
        action="store_true",
        help="in an outbox for more than a minute, and never published",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=positive,
        default=50,
        help="at most this many (default: %(default)s)",
    )
    parser.set_defaults(func=run, asks=True)


def run(args: argparse.Namespace, questions: Questions) -> int:
    """Print the envelopes; 1 when there are none."""
    names = ("text", "type", "source", "channel", "since", "until", "failed", "stuck", "limit")
    found = questions.find({name: getattr(args, name) for name in names})
    if args.json:
        print_json(found)
    elif found:
        for line in envelope_table(found, style_for(sys.stdout)):
            print(line)
        if len(found) == args.limit:
            say(f"these are the newest {args.limit}; --limit shows more")
    else:
        say(f"no envelope at {questions.where} satisfies all of this")
    return 0 if found else 1


def envelope_table(envelopes: list[dict[str, Any]], style: Style) -> Iterator[str]:
    """Envelopes as a table with a heading; those where something failed are marked."""
    rows = [
        (
            clock(each["timestamp"], style.zone),
            printable(each["type"]),
            printable(each["source"]["name"] or each["service"] or ""),
            printable(each["channel"] or ""),
            printable(each["id"]),
        )
        for each in envelopes
    ]
    widths = [
        max(len(name), *(len(row[column]) for row in rows)) for column, name in enumerate(_COLUMNS)
    ]
    yield style.paint(_aligned(_COLUMNS, widths), "dim")
    for row, envelope in zip(rows, envelopes, strict=True):
        line = _aligned(row, widths, style)
        if envelope.get("failed"):
            line += "  " + style.paint("failed", "red")
        yield line


def _aligned(cells: tuple[str, ...], widths: list[int], style: Style | None = None) -> str:
    last = len(cells) - 1
    return "  ".join(
        (style.paint(cell, _COLOURS[column]) if style else cell)
        + ("" if column == last else " " * (widths[column] - len(cell)))
        for column, cell in enumerate(cells)
    )


def positive(text: str) -> int:
    """A whole number above zero, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return int(text)


def moment_of(text: str) -> float:
    """A moment as Unix milliseconds, for argparse."""
    try:
        return moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
