"""Which client libraries of this environment are instrumented, and why others are not."""

from __future__ import annotations

import os

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from platform import python_version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from otelope.adapters.table import TABLE, Row
from otelope.cli.checks.finding import Finding


_GROUP = "opentelemetry_instrumentor"
_SWITCH = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def look(environ: Mapping[str, str] = os.environ, rows: Iterable[Row] = TABLE) -> list[Finding]:
    """One finding per supported library."""
    off = {name.strip() for name in environ.get(_SWITCH, "").split(",")}
    others = dict(_other_instrumentations())
    offered = {
        entry_point.name
        for distribution in distributions(name="otelope")
        for entry_point in distribution.entry_points
        if entry_point.group == _GROUP
    }
    return [_look_at(row, off, offered, _beside(row, others)) for row in rows]


def _look_at(row: Row, off: set[str], offered: set[str], beside: list[str]) -> Finding:
    name, supported = row.library, SpecifierSet(row.versions)
    facts = {"supported": str(supported), "installed": None, "beside": beside}
    try:
        installed = version(name) if row.versions else python_version()
    except PackageNotFoundError:
        return Finding("note", name, "not installed", facts=facts)
    facts["installed"] = installed
    if not supported.contains(installed, prereleases=True):
        return Finding(
            "attention",
            name,
            f"{installed} is installed, not instrumented: otelope supports {name}{supported}",
            f"install another version, or switch it off here: {_SWITCH}={row.entry_point}",
            facts,
        )
    if row.entry_point in off or "*" in off:
        return Finding("note", name, f"{installed}, switched off by {_SWITCH}", facts=facts)
    if offered and row.entry_point not in offered:
        return Finding(
            "attention",
            name,
            f"{installed}, not instrumented: the installed otelope does not register it",
            "install otelope again: its metadata is older than its code",
            facts,
        )
    text = f"{installed}, instrumented when it is imported"
    if beside:
        text += f"; others here instrument it, or what stands on it: {', '.join(beside)}"
    return Finding("ok", name, text, facts=facts)


def _beside(row: Row, others: Mapping[str, set[str]]) -> list[str]:
    """Other instrumentations of the row's library, or of one that stands on it (FastAPI)."""
    name = canonicalize_name(row.library)
    return sorted(each for each, libraries in others.items() if name in libraries)


def _other_instrumentations() -> Iterator[tuple[str, set[str]]]:
    """Installed instrumentations that are not otelope's, with all that they are about."""
    for distribution in distributions():
        if not distribution.entry_points.select(group=_GROUP):
            continue  # asked first: the name is in metadata that take 1 ms to parse
        name = distribution.metadata["Name"]
        if name == "otelope":
            continue
        targets: set[str] = {
            canonicalize_name(requirement.name)
            for requirement in _read_requirements(distribution)
            # Contrib names what it instruments in these extras of its own.
            if requirement.marker is not None and "instruments" in str(requirement.marker)
        }
        yield name, targets.union(*map(_requirements, targets))


def _requirements(library: str) -> set[str]:
    return {
        canonicalize_name(requirement.name)
        for distribution in distributions(name=library)
        for requirement in _read_requirements(distribution)
        if requirement.marker is None
    }


def _read_requirements(distribution: Distribution) -> Iterator[Requirement]:
    for text in distribution.requires or ():
        # Old distributions write what is no requirement; it is nothing that we look for.
        with suppress(InvalidRequirement):
            yield Requirement(text)
