"""The program `otelope`: its arguments, and how each command ends."""

from __future__ import annotations

import argparse
import os
import sys

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from otelope.cli import clickhouse, contracts, doctor, find, push, schema, stitch, tail, tree, up
from otelope.cli.asking import DEFAULT_STORE, STORE_VARIABLE, open_questions
from otelope.cli.output import prepare_streams, say
from otelope.cli.questions import BadQuestionError, CannotAskError


_CANNOT_ASK = 2
_INTERRUPTED = 130
_PIPE_CLOSED = 141  # 128 + SIGPIPE, as of a program that the signal ends


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status of the program."""
    prepare_streams()
    args = make_parser().parse_args(arguments)
    try:
        return _run(args)
    except BadQuestionError as error:
        say(str(error).removesuffix("."))
        return 1
    except CannotAskError as error:
        say(str(error))
        return _CANNOT_ASK
    except BrokenPipeError:
        # Python would complain when it flushes on the way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except KeyboardInterrupt:
        return _INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole program."""
    parser = argparse.ArgumentParser(
        prog="otelope", description="Shows what caused what: command, event, command, event."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    server = clickhouse.options()
    shared = argparse.ArgumentParser(add_help=False, parents=[server])
    shared.add_argument("--json", action="store_true", help="write JSON, for programs")
    shared.add_argument(
        "--store",
        metavar="URL|DIR",
        help="whom to ask: http://host:port of an `otelope up`, or its data directory while it "
        f"does not run (default: {STORE_VARIABLE}, else {DEFAULT_STORE})",
    )
    for command in (tree, tail, find, contracts, stitch, doctor):
        command.add_parser(subparsers, shared)
    up.add_parser(subparsers, server)
    schema.add_parser(subparsers, server)
    push.add_parser(subparsers, server)
    return parser


def _run(args: argparse.Namespace) -> int:
    status: int
    if not getattr(args, "asks", False):
        status = args.func(args)
        return status
    opened = open_questions(args)
    if opened.note:
        say(opened.note)
    try:
        status = args.func(args, opened.questions)
        sys.stdout.flush()
    finally:
        opened.questions.close()
    return status


def _version() -> str:
    try:
        return version("otelope")
    except PackageNotFoundError:
        return "(run from its source, not installed)"
