"""What all commands share of writing: prepared streams, JSON, and complaints."""

from __future__ import annotations

import io
import json
import sys

from typing import Any

from otelope.cli.style import printable


def prepare_streams() -> None:
    """Let no character stop the output: what the stream cannot encode is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """One JSON document on one line, ASCII only: any stream can carry it."""
    print(json.dumps(value, separators=(",", ":")), flush=True)


def say(text: str) -> None:
    """A line for the person, not for the pipe."""
    print(f"otelope: {printable(text)}", file=sys.stderr, flush=True)
