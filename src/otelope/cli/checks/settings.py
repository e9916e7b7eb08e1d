"""The settings that the environment makes, and those that it only seems to make."""

from __future__ import annotations

import os

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches

from otelope.cli import clickhouse
from otelope.cli.asking import STORE_VARIABLE
from otelope.cli.checks.finding import Finding, warnings_of_otelope
from otelope.cli.jaeger import JAEGER_VARIABLE
from otelope.core.settings import Settings


_PREFIX = "OTELOPE_"
# Read by the commands, not by an instrumented program.
_COMMANDS = (STORE_VARIABLE, JAEGER_VARIABLE, *clickhouse.VARIABLES)


def look(environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """One finding per variable that is set; one that says so when none is."""
    with warnings_of_otelope() as complaints:
        settings = Settings.from_environment(environ)
    found = []
    known = {entry.metadata["env"]: entry for entry in fields(Settings)}
    for name in sorted(name for name in environ if name.startswith(_PREFIX)):
        text = environ[name].strip()
        if not text or name in _COMMANDS:
            continue
        if name not in known:
            found.append(_unknown(name, list(known)))
            continue
        complaint = next((each for each in complaints if each.startswith(f"{name} ")), "")
        value = getattr(settings, known[name].name)
        facts = {"value": value, "default": known[name].default}
        if complaint:
            advice = "correct it, or unset it"
            text = complaint.removeprefix(f"{name} ")
            found.append(Finding("attention", name, text, advice, facts))
        else:
            same = ", which is the default" if value == known[name].default else ""
            found.append(Finding("ok", name, text + same, facts=facts))
    return found or [Finding("ok", f"{_PREFIX}*", "all defaults")]


def _unknown(name: str, known: list[str]) -> Finding:
    close = get_close_matches(name, [*known, *_COMMANDS], n=1)
    advice = f"did you mean {close[0]}?" if close else "unset it: this otelope does not read it"
    return Finding("attention", name, "is no setting", advice)
