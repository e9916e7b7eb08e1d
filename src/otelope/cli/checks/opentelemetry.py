"""Whether OpenTelemetry, and what belongs to it, is complete here and fits together."""

from __future__ import annotations

import os

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution, distributions, version

from packaging.requirements import InvalidRequirement, Requirement

from otelope.cli.checks.finding import Finding


_DISTRO = "opentelemetry-distro"
_FAMILY = "opentelemetry-"


def look(environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """One finding for otelope, one for the distro, one per requirement that is not met."""
    found = [_installed(), _distro()]
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        found.append(
            Finding(
                "attention",
                "OTEL_SDK_DISABLED",
                "is true: nothing is instrumented",
                "unset it where the application runs",
            )
        )
    found.extend(_unmet())
    return found


def _installed() -> Finding:
    try:
        return Finding("ok", "otelope", version("otelope"))
    except PackageNotFoundError:
        return Finding(
            "attention",
            "otelope",
            "runs from its source: opentelemetry-instrument does not find it",
            "install it: pip install otelope, or pip install -e . in a checkout",
        )


def _distro() -> Finding:
    try:
        return Finding("ok", _DISTRO, version(_DISTRO))
    except PackageNotFoundError:
        return Finding(
            "attention",
            _DISTRO,
            "not installed: opentelemetry-instrument sets nothing up, without a word",
            f"pip install {_DISTRO}",
        )


def _unmet() -> Iterator[Finding]:
    """What otelope and OpenTelemetry's own packages require and this environment does not have."""
    names = {each.metadata["Name"] for each in distributions()}
    checked = {name for name in names if name and name.startswith(_FAMILY)} | ({"otelope"} & names)
    for name in sorted(checked):
        for text in distribution(name).requires or ():
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                continue
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            problem = _problem(requirement)
            if problem:
                wanted = f"{requirement.name}{requirement.specifier}"
                yield Finding(
                    "attention",
                    name,
                    f"requires {wanted}, {problem}",
                    f"pip install '{wanted}', or a {name} that fits the others",
                )


def _problem(requirement: Requirement) -> str:
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return "which is not installed"
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    return f"but {installed} is installed"
