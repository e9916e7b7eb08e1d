"""`otelope tree`: the whole causation tree around an envelope."""

from __future__ import annotations

import argparse
import sys

from collections.abc import Iterator
from typing import Any

from otelope.cli.jaeger import EXAMPLE, JAEGER_VARIABLE, jaeger_address, trace_lines, trace_urls
from otelope.cli.moments import clock
from otelope.cli.output import print_json, say
from otelope.cli.questions import Candidates, Questions
from otelope.cli.render import counted, tree_lines
from otelope.cli.style import Style, printable, style_for


_SHORTEST_PREFIX = 6


def add_parser(subparsers: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the program's sub-commands."""
    parser = subparsers.add_parser(
        "tree",
        parents=[shared],
        help="show what caused what, from any id of a chain",
        description="Shows the whole causation tree around an envelope: what caused it and what "
        "it caused, who handled each envelope and how that ended.",
        epilog="A kind in parentheses is inferred from the type's name. Times are those since "
        f"the parent. With {JAEGER_VARIABLE}={EXAMPLE} the pages of its traces in Jaeger follow. "
        "Exit status: 0 shown, 1 unknown or ambiguous, 2 nobody to ask.",
    )
    add_id(parser)
    parser.add_argument("--ids", action="store_true", help="show the id of every envelope")
    parser.set_defaults(func=run, asks=True)


def run(args: argparse.Namespace, questions: Questions) -> int:
    """Print the tree; 1 when the id is unknown, ambiguous or too short."""
    jaeger = jaeger_address()
    found = asked_tree(args, questions)
    if found is None:
        return 1
    urls = trace_urls(jaeger, found) if jaeger else []
    if args.json:
        from otelope.store.trees import dump

        if jaeger:
            found["trace_urls"] = urls
        sys.stdout.writelines(dump(found))
        print()
    else:
        style = style_for(sys.stdout)
        for line in tree_lines(found, style, asked=args.id, ids=args.ids):
            print(line)
        for line in trace_lines(urls, style):
            print(line)
    return 0


def asked_tree(args: argparse.Namespace, questions: Questions) -> dict[str, Any] | None:
    """The tree around ``args.id``; None when it means nothing or several, which is then said."""
    found = questions.tree(args.id)
    if found is None:
        if args.json:
            print_json({"error": "unknown", "id": args.id})
        say(
            f"nothing is known of {args.id!r} at {questions.where}; `otelope find` lists what is "
            "stored"
        )
        return None
    if isinstance(found, Candidates):
        _show_candidates(args, found)
        return None
    return found


def add_id(parser: argparse.ArgumentParser) -> None:
    """Add the argument that `asked_tree` reads."""
    parser.add_argument(
        "id",
        metavar="ID",
        help=f"an envelope's id, its first {_SHORTEST_PREFIX} or more characters, or a trace id",
    )


def _show_candidates(args: argparse.Namespace, found: Candidates) -> None:
    if args.json:
        print_json(found._asdict())
        return
    say(f"{args.id!r} may mean {counted(len(found.candidates), 'envelope')}: ask for one of these")
    for line in candidate_lines(found.candidates, style_for(sys.stdout)):
        print(line)


def candidate_lines(candidates: list[dict[str, Any]], style: Style) -> Iterator[str]:
    """The candidates, one per line, ids first, so that one can be copied."""
    for each in candidates:
        source = each["source"] or {"name": "", "version": ""}
        name = " ".join(part for part in (source["name"], source["version"]) if part)
        yield "  ".join(
            part
            for part in (
                printable(each["id"]),
                style.paint(clock(each["timestamp"], style.zone), "dim"),
                style.paint(printable(each["type"]), "bold"),
                style.paint(printable(name), "green"),
            )
            if part
        )
