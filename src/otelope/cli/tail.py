"""`otelope tail`: what is being stored, as it comes."""

from __future__ import annotations

import argparse
import sys
import threading

from collections.abc import Callable
from typing import Any

from otelope.cli.done_lines import failure_line
from otelope.cli.find import positive
from otelope.cli.moments import clock
from otelope.cli.output import print_json, say
from otelope.cli.questions import CannotAskError, Page, Questions
from otelope.cli.render import envelope_line
from otelope.cli.style import Style, printable, style_for


_INTERVAL = 0.5
_INTERVAL_AFTER_FAILURE = 2.0


def add_parser(subparsers: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the program's sub-commands."""
    parser = subparsers.add_parser(
        "tail",
        parents=[shared],
        help="follow new envelopes and failed deliveries",
        description="Prints the last envelopes and then every new one, and every failed "
        "delivery, in the order they are stored, until it is interrupted.",
        epilog="With --json, one JSON document per line. Exit status: 0 interrupted or --once, "
        "2 nobody to ask.",
    )
    parser.add_argument("--once", action="store_true", help="print the last ones and end")
    parser.add_argument(
        "--last",
        metavar="N",
        type=positive,
        default=10,
        help="begin with about this many (default: %(default)s)",
    )
    parser.set_defaults(func=run, asks=True)


def run(args: argparse.Namespace, questions: Questions) -> int:
    """Print until interrupted."""
    style = style_for(sys.stdout)
    show: Callable[[dict[str, Any]], None] = (
        print_json if args.json else lambda item: print(item_line(item, style), flush=True)
    )
    try:
        page = questions.tail(None, args.last)
        _show_all(page, show)
        while not args.once:
            page = _next(questions, page, args.last)
            _show_all(page, show)
    except KeyboardInterrupt:
        pass
    return 0


def item_line(item: dict[str, Any], style: Style) -> str:
    """An envelope, or a failed delivery of one, on one line that begins with its time."""
    if item["what"] == "envelope":
        line = envelope_line(item, style, ids=True, clocked=False)
        when = item["timestamp"]
    else:
        handled = style.paint(printable(item["type"]), "bold")
        identity = style.paint(printable(item["id"]), "dim")
        line = f"{failure_line(item, style)}  {handled}  {identity}"
        when = item["started"]
    return f"{style.paint(clock(when, style.zone), 'dim')}  {line}"


def _show_all(page: Page, show: Callable[[dict[str, Any]], None]) -> None:
    for item in page.items:
        show(item)


def _next(questions: Questions, page: Page, last: int) -> Page:
    """The next page; a daemon that is gone is waited for, the cursor stays good."""
    waiting = threading.Event()
    waiting.wait(_INTERVAL)
    problem = ""
    while True:
        try:
            return questions.tail(page.cursor, last)
        except CannotAskError as error:
            if not problem:
                problem = str(error)
                say(f"{problem}. Waiting for it; Ctrl-C ends this")
            waiting.wait(_INTERVAL_AFTER_FAILURE)
