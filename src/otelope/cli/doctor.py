"""`otelope doctor`: what is instrumented, what is not and why, and where records go."""

from __future__ import annotations

import argparse
import sys

from collections.abc import Iterator, Mapping
from typing import Any

from otelope.cli.checks.finding import Finding
from otelope.cli.output import print_json
from otelope.cli.render import counted
from otelope.cli.style import Style, printable, style_for


def add_parser(subparsers: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the program's sub-commands."""
    parser = subparsers.add_parser(
        "doctor",
        parents=[shared],
        help="say what is instrumented, what is not and why, and where records go",
        description="Looks at this environment as an instrumented program would find it - run it "
        "with the same interpreter and variables - and at the processes that report here.",
        epilog="Exit status: 0 healthy, 1 something needs attention.",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 when something needs attention."""
    # They load packaging and a part of OpenTelemetry: 250 ms that no other command needs.
    from otelope.cli.checks import destination, libraries, opentelemetry, processes, settings

    sections = {
        "libraries": libraries.look(),
        "opentelemetry": opentelemetry.look(),
        "settings": settings.look(),
        "destination": destination.look(),
        "processes": processes.look(args),
    }
    healthy = not any(each.level == "attention" for found in sections.values() for each in found)
    if args.json:
        found = {
            title: [each.to_dict() for each in section] for title, section in sections.items()
        }
        print_json({"healthy": healthy, **found})
    else:
        for line in report_lines(sections, style_for(sys.stdout)):
            print(line)
    return 0 if healthy else 1


def report_lines(sections: Mapping[str, list[Finding]], style: Style) -> Iterator[str]:
    """The findings by section, and a last line that says whether all is well."""
    marks = {
        "ok": style.paint(style.marks.ok, "green"),
        "note": style.paint("-", "dim"),
        "attention": style.paint(style.marks.failed, "red"),
    }
    for title, found in sections.items():
        yield style.paint(title, "bold")
        for each in found:
            subject = style.paint(printable(each.subject), "bold")
            yield f"  {marks[each.level]} {subject}  {printable(each.text)}"
            if each.advice:
                to = style.paint(style.marks.to, "yellow")
                yield f"    {to} {style.paint(printable(each.advice), 'yellow')}"
    attention = sum(each.level == "attention" for found in sections.values() for each in found)
    yield (
        style.paint(f"{counted(attention, 'thing')} to attend to", "bold", "red")
        if attention
        else style.paint("healthy", "bold", "green")
    )
